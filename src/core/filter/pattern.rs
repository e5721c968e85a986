//! Regular expressions in Chroma's dialect, Rust's regex crate.
//!
//! Promise: time grows with the document's length times the pattern's size and never faster, memory is bounded, and a search that
//! may take more than some seconds asks its caller again and again whether to go on. Imports nothing of this crate.

use regex::{Regex, RegexBuilder};
use regex_automata::nfa::thompson::{self, NFA, State, WhichCaptures};
use regex_automata::util::primitives::StateID;

/// Bytes that a compiled regular expression may take: the regex crate's own bound, and so Chroma's.
const MOST_BYTES: usize = 10 * (1 << 20);
/// States times bytes that the regex crate, which cannot be stopped, is given: some 3 seconds where it is slowest.
const UNSTOPPED_STEPS: usize = 1 << 27;
/// States looked at between two questions.
const STEPS_BETWEEN: usize = 1 << 18;

/// A regular expression.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    regex: Regex,
    /// States of its automaton.
    states: usize,
}

impl Pattern {
    /// Compiles `pattern`.
    ///
    /// # Errors
    /// What is wrong with it, in a line of the regex crate's.
    pub(super) fn new(pattern: &str) -> Result<Pattern, String> {
        let mut builder = RegexBuilder::new(pattern);
        let regex = builder.size_limit(MOST_BYTES).build();
        let regex = regex.map_err(|cause| last_line(&cause.to_string()))?;
        let states = automaton(pattern)?.states().len();
        Ok(Pattern { regex, states })
    }

    /// Whether it matches anywhere in `text`. `tick` is called now and then while that takes long, and may end it by unwinding.
    pub(super) fn is_match(&self, text: &str, tick: &mut dyn FnMut()) -> bool {
        let slow = self.states.saturating_mul(text.len()) > UNSTOPPED_STEPS;
        match slow.then(|| automaton(self.regex.as_str())) {
            Some(Ok(automaton)) => Search::new(&automaton, text).run(tick),
            _ => self.regex.is_match(text),
        }
    }
}

fn automaton(pattern: &str) -> Result<NFA, String> {
    let config = thompson::Config::new()
        .nfa_size_limit(Some(MOST_BYTES))
        .which_captures(WhichCaptures::None);
    let mut compiler = thompson::Compiler::new();
    let automaton = compiler.configure(config).build(pattern);
    automaton.map_err(|cause| last_line(&cause.to_string()))
}

fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// A search that goes through the text once, with all states that the automaton can be in.
struct Search<'s> {
    automaton: &'s NFA,
    text: &'s str,
    /// For each state, one more than the last position at which it was reached.
    reached: Vec<usize>,
    /// States reached and not yet followed.
    open: Vec<StateID>,
}

impl<'s> Search<'s> {
    fn new(automaton: &'s NFA, text: &'s str) -> Search<'s> {
        Search {
            automaton,
            text,
            reached: vec![0; automaton.states().len()],
            open: Vec::new(),
        }
    }

    fn run(mut self, tick: &mut dyn FnMut()) -> bool {
        let (mut states, mut next) = (Vec::new(), Vec::new());
        let mut steps = 0_usize;
        if self.reach(self.automaton.start_unanchored(), 0, &mut states) {
            return true;
        }
        for (at, byte) in self.text.bytes().enumerate() {
            next.clear();
            for id in states.drain(..) {
                let to = match self.automaton.state(id) {
                    State::ByteRange { trans } => trans.matches_byte(byte).then_some(trans.next),
                    State::Sparse(sparse) => sparse.matches_byte(byte),
                    State::Dense(dense) => dense.matches_byte(byte),
                    _ => None,
                };
                if let Some(to) = to
                    && self.reach(to, at + 1, &mut next)
                {
                    return true;
                }
            }
            steps += next.len() + 1;
            if steps > STEPS_BETWEEN {
                steps = 0;
                tick();
            }
            std::mem::swap(&mut states, &mut next);
        }
        false
    }

    /// Adds what can be reached from a state without a byte; whether a match is among it.
    fn reach(&mut self, from: StateID, at: usize, states: &mut Vec<StateID>) -> bool {
        self.open.push(from);
        while let Some(id) = self.open.pop() {
            match self.reached.get_mut(id.as_usize()) {
                Some(last) if *last <= at => *last = at + 1,
                _ => continue,
            }
            match self.automaton.state(id) {
                State::Look { look, next } => {
                    let matcher = self.automaton.look_matcher();
                    if matcher.matches(*look, self.text.as_bytes(), at) {
                        self.open.push(*next);
                    }
                }
                State::Union { alternates } => self.open.extend(alternates.iter().copied()),
                State::BinaryUnion { alt1, alt2 } => self.open.extend([*alt1, *alt2]),
                State::Capture { next, .. } => self.open.push(*next),
                // Within a character only an empty match can end, which is none.
                State::Match { .. } if self.text.is_char_boundary(at) => return true,
                State::Match { .. } | State::Fail => {}
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) => states.push(id),
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [&str; 28] = [
        "fox",
        "^The",
        "(?i)the",
        "dog$",
        r"\d{4}-\d{2}",
        r"\p{Han}+",
        r"^\w+$",
        "(?m)^lines$",
        "two.lines",
        "(?s)two.lines",
        "gr[öo]",
        r"\bsure\b",
        "a|b",
        r"\\",
        "(fox|dog)",
        "[[:upper:]]{2}",
        r"\s",
        "x?",
        ".",
        r"\x{1F600}",
        "(?i)grösse",
        "[^a-z]",
        r"\B",
        r"^$",
        r"\b{start}d",
        r"(?-u:\b)o",
        r"(a+)+$",
        r"^\W*$",
    ];
    const TEXTS: [&str; 12] = [
        "",
        "The quick fox",
        "the lazy dog",
        "GRÖSSE und größe",
        "100% sure",
        "two\nlines",
        "日本語の文書",
        "\u{1F600}",
        "year 2024-05-06",
        "back\\slash",
        "aaaa",
        " \t",
    ];

    #[test]
    fn both_ways_to_search_agree() {
        for pattern in PATTERNS {
            let regex = Pattern::new(pattern).unwrap().regex;
            let automaton = automaton(pattern).unwrap();
            for text in TEXTS {
                let found = Search::new(&automaton, text).run(&mut || {});
                assert_eq!(found, regex.is_match(text), "{pattern:?} in {text:?}");
            }
        }
    }

    #[test]
    fn a_search_that_takes_long_can_be_ended() {
        let pattern = Pattern::new("(?:[ab]{1,90}c?){1,90}d").unwrap();
        let text = "ab".repeat(1 << 20);
        let ended = std::panic::catch_unwind(|| {
            let mut ticks = 0;
            pattern.is_match(&text, &mut || {
                ticks += 1;
                assert!(ticks < 3, "ended");
            })
        });
        assert!(ended.is_err());
    }

    #[test]
    fn a_long_text_is_searched_all_the_same() {
        let text = format!("{}größe 7", "x ".repeat(1 << 20));
        for (pattern, found) in [
            (r"\bgr\w{1,40}\s\d$", true),
            (r"\bgr\w{1,40}\s[0-6]$", false),
        ] {
            let pattern = Pattern::new(pattern).unwrap();
            assert!(pattern.states * text.len() > UNSTOPPED_STEPS);
            assert_eq!(pattern.is_match(&text, &mut || {}), found);
        }
    }
}
