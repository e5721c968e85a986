//! Which elements a search can come to, from all links in memory.

use super::elements::Elements;

/// All good links: four bytes each, four a layer, and eight an element.
#[derive(Debug)]
pub(super) struct Reach {
    /// Where in `links` each element's begin; beyond the end where it has none.
    starts: Vec<usize>,
    /// For each layer of an element, from the highest to 0: how many there are, then the numbers of their targets.
    links: Vec<u32>,
    /// Where the count of the layer in hand is.
    layer: usize,
}

impl Reach {
    pub(super) fn new(elements: usize) -> Reach {
        Reach {
            starts: vec![usize::MAX; elements],
            links: Vec::new(),
            layer: 0,
        }
    }

    /// What comes next are the layers of this element, from the highest.
    pub(super) fn begin_element(&mut self, number: u32) {
        if let Some(start) = usize::try_from(number)
            .ok()
            .and_then(|number| self.starts.get_mut(number))
        {
            *start = self.links.len();
        }
    }

    pub(super) fn begin_layer(&mut self) {
        self.layer = self.links.len();
        self.links.push(0);
    }

    pub(super) fn link(&mut self, target: u32) {
        self.links.push(target);
        if let Some(count) = self.links.get_mut(self.layer) {
            *count += 1;
        }
    }

    /// The number of elements that are reached from the entry point, itself included: on each layer from those that
    /// were reached on the layers above.
    pub(super) fn from(&self, entry: u32, level: u8, elements: &Elements) -> u64 {
        let mut seen = vec![false; elements.len()];
        let mut reached = vec![entry];
        mark(&mut seen, entry);
        for layer in (0..=level).rev() {
            let mut next = 0;
            while let Some(&number) = reached.get(next) {
                next += 1;
                let above = elements
                    .get(number)
                    .and_then(|found| found.level.checked_sub(layer));
                for &target in above.map_or(&[][..], |above| self.of(number, above)) {
                    if mark(&mut seen, target) {
                        reached.push(target);
                    }
                }
            }
        }
        u64::try_from(reached.len()).unwrap_or(u64::MAX)
    }

    /// The links of an element on the layer so many below its highest.
    fn of(&self, number: u32, below: u8) -> &[u32] {
        let start = usize::try_from(number)
            .ok()
            .and_then(|number| self.starts.get(number));
        let mut rest = start
            .and_then(|&start| self.links.get(start..))
            .unwrap_or_default();
        let mut layer: &[u32] = &[];
        for _ in 0..=below {
            let Some((&count, behind)) = rest.split_first() else {
                break;
            };
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            (layer, rest) = behind.split_at_checked(count).unwrap_or_default();
        }
        layer
    }
}

/// Whether this element had not been seen before.
fn mark(seen: &mut [bool], number: u32) -> bool {
    let seen = usize::try_from(number)
        .ok()
        .and_then(|number| seen.get_mut(number));
    seen.is_some_and(|seen| !std::mem::replace(seen, true))
}
