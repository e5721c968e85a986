//! The second pass, over the links: all elements are known now.

use super::elements::{Apart, Elements, Found};
use super::reach::Reach;
use super::summary::Summary;
use super::{Page, Tid, at, valid_behind_invalid};
use crate::index::page::{PageError, View};
use crate::index::tuple::{
    ELEMENT, Element, NEIGHBOURS, Neighbours, highest_level, kind, layer_places,
};

/// The second pass, over the links.
#[derive(Debug)]
pub struct LinkWalk {
    elements: Elements,
    /// In the order of their places.
    apart: Vec<Apart>,
    reach: Option<Reach>,
    summary: Summary,
    block: u32,
    /// Which tuples of the page are the neighbours of an element; by offset.
    owned: Vec<bool>,
}

impl LinkWalk {
    pub(super) fn new(
        elements: Elements,
        apart: Vec<Apart>,
        keep_links: bool,
        summary: Summary,
    ) -> LinkWalk {
        let reach = keep_links.then(|| Reach::new(elements.len()));
        LinkWalk {
            elements,
            apart,
            reach,
            summary,
            block: 1,
            owned: Vec::new(),
        }
    }

    /// Takes the next page, from block 1 on.
    pub fn page(&mut self, page: &Page) {
        let block = self.block;
        self.block = block.saturating_add(1);
        // The first pass has said what is wrong with such a page.
        let Ok(view) = View::of(page) else { return };
        self.owned.clear();
        self.owned.resize(usize::from(view.count()) + 1, false);
        for offset in 1..=view.count() {
            let Ok(Some(tuple)) = view.tuple(offset) else {
                continue;
            };
            let element = match Element::read(tuple) {
                Ok(element) if element.neighbours.block == block => element,
                _ => continue,
            };
            if let Some((number, found)) = self.elements.find(Tid { block, offset }) {
                self.neighbours(&view, number, found, element.neighbours);
            }
        }
        let start = self
            .apart
            .partition_point(|apart| apart.place.block < block);
        for index in start.. {
            let Some(&Apart { place, owner }) = self
                .apart
                .get(index)
                .filter(|apart| apart.place.block == block)
            else {
                break;
            };
            if let Some(found) = self.elements.get(owner) {
                self.neighbours(&view, owner, found, place);
            }
        }
        self.check_owned(&view, block);
    }

    /// The neighbours of an element, at a place of this page.
    fn neighbours(&mut self, view: &View<'_>, number: u32, owner: Found, place: Tid) {
        match self.owned.get_mut(usize::from(place.offset)) {
            Some(owned) if *owned => {
                self.say(number, || {
                    format!("shares its links ({}) with another element", at(place))
                });
            }
            Some(owned) => *owned = true,
            // The tuple is not there, which is found below.
            None => {}
        }
        // Vacuum leaves its neighbours in place, without links.
        if owner.is_deleted() {
            return;
        }
        let missing = PageError::Missing("tuple there");
        let tuple = view
            .tuple(place.offset)
            .and_then(|tuple| tuple.ok_or(missing));
        match tuple.and_then(Neighbours::read) {
            Ok(neighbours) => self.layers(number, owner, &neighbours),
            Err(error) => self.say(number, || {
                format!("has its links at {}, but {error}", at(place))
            }),
        }
    }

    /// All layers of an element.
    fn layers(&mut self, number: u32, owner: Found, neighbours: &Neighbours<'_>) {
        let m = self.summary.meta.m;
        if neighbours.version != owner.version {
            self.say(number, || {
                format!(
                    "has version {}, its links {}",
                    owner.version, neighbours.version
                )
            });
        }
        if !neighbours.belong_to(owner.level, m) {
            return self.say(number, || {
                format!(
                    "has level {}, its links {} places, with m {m}",
                    owner.level, neighbours.count
                )
            });
        }
        if let Some(reach) = &mut self.reach {
            reach.begin_element(number);
        }
        for layer in (0..=owner.level).rev() {
            let mut count = 0;
            if let Some(reach) = &mut self.reach {
                reach.begin_layer();
            }
            for target in neighbours.links(layer, owner.level, m) {
                count += 1;
                self.link(number, layer, target);
            }
            if valid_behind_invalid(neighbours.places(layer, owner.level, m)) {
                self.say(number, || {
                    format!("has a link behind an empty place on layer {layer}")
                });
            }
            self.summary.count_links(layer, count);
            if layer == 0 && count < layer_places(m, 0) {
                self.summary.not_full += 1;
            }
        }
    }

    /// One link.
    fn link(&mut self, number: u32, layer: u8, target: Tid) {
        match self.elements.find(target) {
            None => self.say(number, || {
                format!("has a link on layer {layer} to {}, no element", at(target))
            }),
            Some((_, found)) if found.is_deleted() => {
                self.summary.links_to_deleted += 1;
                self.say(number, || {
                    format!("has a link on layer {layer} to {}, deleted", at(target))
                });
            }
            Some((_, found)) if found.level < layer => {
                self.say(number, || {
                    format!(
                        "has a link on layer {layer} to {}, of level {}",
                        at(target),
                        found.level
                    )
                });
            }
            Some((other, _)) if other == number => {
                self.say(number, || format!("has a link on layer {layer} to itself"));
            }
            Some((other, _)) => {
                if let Some(reach) = &mut self.reach {
                    reach.link(other);
                }
            }
        }
    }

    /// Neighbours that no element has, and elements that the first pass did not see.
    fn check_owned(&mut self, view: &View<'_>, block: u32) {
        let highest = highest_level(self.summary.meta.m);
        let valid = |tuple| {
            Element::read(tuple).is_ok_and(|element| element.deleted || element.level <= highest)
        };
        for offset in 1..=view.count() {
            let Ok(Some(tuple)) = view.tuple(offset) else {
                continue;
            };
            let tid = Tid { block, offset };
            match kind(tuple) {
                NEIGHBOURS if self.owned.get(usize::from(offset)) != Some(&true) => {
                    self.summary
                        .findings
                        .add(|| format!("{}: the links of no element", at(tid)));
                }
                ELEMENT if self.elements.find(tid).is_none() && valid(tuple) => {
                    self.summary
                        .findings
                        .add(|| format!("{}: the element came between the passes", at(tid)));
                }
                _ => {}
            }
        }
    }

    /// What is known in the end.
    pub fn done(mut self) -> Summary {
        let (pages, again) = (self.summary.pages, self.block);
        if pages != again {
            self.summary
                .findings
                .add(|| format!("the second pass saw {again} pages, the first {pages}"));
        }
        if let Some(reach) = self.reach {
            let entry = self
                .summary
                .meta
                .entry
                .and_then(|(tid, _)| self.elements.find(tid));
            let entry = entry.filter(|(_, found)| !found.is_deleted());
            let reached = match entry {
                Some((number, found)) => reach.from(number, found.level, &self.elements),
                None => 0,
            };
            self.summary.unreachable = Some(self.summary.elements.saturating_sub(reached));
        }
        self.summary
    }

    /// Notes what is wrong with an element.
    fn say(&mut self, number: u32, what: impl FnOnce() -> String) {
        let tid = self.elements.tid(number);
        self.summary
            .findings
            .add(|| format!("{}: the element {}", at(tid), what()));
    }
}
