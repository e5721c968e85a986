use super::*;
use crate::index::fixtures::{BUILT, VACUUMED, pages};

/// Both passes over an index.
fn walk(pages: &[Page]) -> Result<Summary, PageError> {
    let mut walk = Walk::new(&pages[0], true)?;
    pages[1..].iter().for_each(|page| walk.page(page));
    let mut walk = walk.second_pass();
    pages[1..].iter().for_each(|page| walk.page(page));
    Ok(walk.done())
}

#[test]
fn nothing_is_wrong_with_what_pgvector_built() {
    for name in BUILT.into_iter().chain(VACUUMED) {
        let summary = walk(&pages(name)).unwrap();
        println!("{name}: {summary:?}");
        assert_eq!(summary.findings.sentences(), [""; 0], "{name}");
    }
}
