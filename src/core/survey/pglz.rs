//! How small PostgreSQL's own compression makes a text, without keeping the result.
//!
//! Promise: an estimate near pglz's own size, in a few kilobytes of memory. Imports nothing.
//!
//! pglz is LZ77 with a window of 4095 bytes: a literal costs one byte, a repetition of 3 to 17 bytes two, one of up
//! to 273 three, and each of them one bit more that tells which it is. It gives up if nothing repeats in the first
//! kilobyte, or if less than a quarter would be saved.

const WINDOW: usize = 4095;
const SHORTEST: usize = 3;
const SHORT: usize = 17;
const LONGEST: usize = 273;
/// A repetition so long is taken without looking for a longer one.
const GOOD: usize = 128;
/// Earlier places that are looked at for a repetition.
const TRIES: usize = 16;
const BUCKETS: usize = 4096;
const PATIENCE: usize = 1024;

/// The size of `bytes` when compressed; their own if that would not pay.
pub(super) fn compressed(bytes: &[u8]) -> usize {
    let mut heads = vec![usize::MAX; BUCKETS];
    let mut earlier = vec![usize::MAX; WINDOW + 1];
    let (mut at, mut size, mut items) = (0_usize, 0_usize, 0_usize);
    let mut repeats = false;
    while at < bytes.len() {
        let found = longest(bytes, at, &heads, &earlier);
        let step = match found {
            0 => 1,
            length => length,
        };
        repeats |= found > 0;
        size += match found {
            0 => 1,
            length if length <= SHORT => 2,
            _ => 3,
        };
        items += 1;
        for place in at..at + step {
            remember(bytes, place, &mut heads, &mut earlier);
        }
        at += step;
        if !repeats && at >= PATIENCE {
            return bytes.len();
        }
    }
    let size = size + items / 8 + 1;
    if size.saturating_mul(4) <= bytes.len().saturating_mul(3) {
        size
    } else {
        bytes.len()
    }
}

/// The length of the longest repetition at `at`; 0 if there is none.
fn longest(bytes: &[u8], at: usize, heads: &[usize], earlier: &[usize]) -> usize {
    let rest = bytes.get(at..).unwrap_or_default();
    let Some(mut place) = bucket(rest).and_then(|bucket| heads.get(bucket)).copied() else {
        return 0;
    };
    let mut best = 0;
    for _ in 0..TRIES {
        if place >= at || at - place > WINDOW {
            break;
        }
        let there = bytes.get(place..).unwrap_or_default();
        let same = rest.iter().zip(there).take(LONGEST);
        let length = same.take_while(|(left, right)| left == right).count();
        best = best.max(length);
        if best >= GOOD {
            break;
        }
        place = earlier
            .get(place % (WINDOW + 1))
            .copied()
            .unwrap_or(usize::MAX);
    }
    if best >= SHORTEST { best } else { 0 }
}

fn remember(bytes: &[u8], place: usize, heads: &mut [usize], earlier: &mut [usize]) {
    let Some(bucket) = bytes.get(place..).and_then(bucket) else {
        return;
    };
    if let (Some(head), Some(link)) = (heads.get_mut(bucket), earlier.get_mut(place % (WINDOW + 1)))
    {
        *link = *head;
        *head = place;
    }
}

/// Where places that begin like `rest` are kept; pglz goes by four bytes, too.
fn bucket(rest: &[u8]) -> Option<usize> {
    let [a, b, c, d] = *rest.first_chunk()?;
    let mixed =
        (usize::from(a) << 6) ^ (usize::from(b) << 4) ^ (usize::from(c) << 2) ^ usize::from(d);
    Some(mixed % BUCKETS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_are_small_and_noise_stays_as_it_is() {
        let same = vec![b'x'; 10_000];
        assert!(compressed(&same) < 200, "{}", compressed(&same));
        let mut state = 1_u32;
        let noise: Vec<u8> = (0..10_000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        assert_eq!(compressed(&noise), noise.len());
        assert_eq!(compressed(b""), 0);
        assert_eq!(compressed(b"abc"), 3);
    }

    #[test]
    fn prose_is_about_as_small_as_the_server_makes_it() {
        let text = std::fs::read(
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../demo/material.txt"),
        )
        .unwrap();
        // What pg_column_size says of them in PostgreSQL 15.
        for (bytes, server) in [(4_000, 2_869), (text.len(), 20_176)] {
            let found = compressed(&text[..bytes]);
            assert!(
                found.abs_diff(server) * 20 < server,
                "{found} instead of {server}"
            );
        }
    }
}
