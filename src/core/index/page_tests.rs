use super::*;

#[test]
fn an_empty_page_is_what_page_init_makes() {
    let page = empty();
    // lower, upper, special, size and version, prune xid
    let header = [24, 0, 0xF8, 0x1F, 0xF8, 0x1F, 4, 0x20, 0, 0, 0, 0];
    assert_eq!(page[..12], [0; 12], "LSN, checksum, flags");
    assert_eq!(page[12..24], header);
    assert!(page[24..8184].iter().all(|&byte| byte == 0));
    assert_eq!(page[8184..], [0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x90, 0xFF]);
    assert_eq!(free(&page), MOST);
    assert_eq!(View::of(&page).unwrap().next(), None);
}

#[test]
fn tuples_go_down_from_the_end_and_line_pointers_up() {
    let mut page = empty();
    let (first, place) = add(&mut page, 13).unwrap();
    place.fill(0xAA);
    let (second, place) = add(&mut page, 8).unwrap();
    place.fill(0xBB);
    assert_eq!((first, second), (1, 2));
    assert_eq!(page[24..28], (8168_u32 | 1 << 15 | 13 << 17).to_le_bytes());
    assert_eq!(page[28..32], (8160_u32 | 1 << 15 | 8 << 17).to_le_bytes());
    assert_eq!(page[8181..8184], [0; 3], "the padding");
    assert_eq!(free(&page), MOST - 16 - 8 - 2 * 4);

    let view = View::of(&page).unwrap();
    assert_eq!(view.count(), 2);
    assert_eq!(view.tuple(1).unwrap().unwrap(), [0xAA; 13]);
    assert_eq!(view.tuple(2).unwrap().unwrap(), [0xBB; 8]);
    assert_eq!(view.tuple(0), Err(PageError::NoPointer(0)));
    assert_eq!(view.tuple(3), Err(PageError::NoPointer(3)));
}

#[test]
fn a_page_takes_what_is_free_and_not_a_byte_more() {
    let mut page = empty();
    assert_eq!(
        add(&mut page, MOST + 1).unwrap_err(),
        PageError::Full(MOST + 1)
    );
    assert_eq!(
        add(&mut page, usize::MAX).unwrap_err(),
        PageError::Full(usize::MAX)
    );
    // 8156 is no multiple of eight: PageAddItem takes the aligned size.
    assert_eq!(add(&mut page, MOST).unwrap_err(), PageError::Full(MOST));
    add(&mut page, MOST - 4).unwrap();
    assert_eq!(free(&page), 0);
    assert_eq!(add(&mut page, 1).unwrap_err(), PageError::Full(1));
}

#[test]
fn unused_line_pointers_are_no_tuples_and_others_have_to_lead_to_one() {
    let mut page = empty();
    add(&mut page, 16).unwrap();
    let with = |pointer: u32| {
        let mut page = page;
        put_u32(&mut page, 24, pointer);
        View::of(&page)
            .unwrap()
            .tuple(1)
            .map(|tuple| tuple.map(<[u8]>::len))
    };
    assert_eq!(with(0), Ok(None));
    assert_eq!(with(8168 | 1 << 15 | 16 << 17), Ok(Some(16)));
    for wrong in [
        8168 | 1 << 15 | 17 << 17, // into the special area
        8160 | 1 << 15 | 16 << 17, // in the free space
        8169 | 1 << 15 | 8 << 17,  // not aligned
        8168 | 2 << 15 | 16 << 17, // a redirect
        8168 | 3 << 15 | 16 << 17, // dead
        0x7FFF | 1 << 15 | 0x7FFF << 17,
    ] {
        assert_eq!(with(wrong), Err(PageError::Pointer(1)), "{wrong:#x}");
    }
}

#[test]
fn a_header_out_of_range_is_said() {
    let wrong = |at: usize, value: u16| {
        let mut page = empty();
        put_u16(&mut page, at, value);
        View::of(&page).unwrap_err()
    };
    assert_eq!(wrong(12, 20), PageError::Header("lower end of free space"));
    assert_eq!(wrong(12, 26), PageError::Header("lower end of free space"));
    assert_eq!(
        wrong(12, 8188),
        PageError::Header("lower end of free space")
    );
    assert_eq!(
        wrong(14, 8192),
        PageError::Header("upper end of free space")
    );
    assert_eq!(wrong(16, 8176), PageError::Header("special area"));
    assert_eq!(wrong(18, 8192 | 3), PageError::Header("size or version"));
    assert_eq!(wrong(8190, 0xFF91), PageError::Foreign);
    assert_eq!(
        View::of(&[0; PAGE]).unwrap_err(),
        PageError::Header("size or version")
    );
}

#[test]
fn lsn_and_checksum_are_no_difference() {
    let a = empty();
    for at in 0..PAGE {
        let mut b = a;
        b[at] ^= 1;
        assert_eq!(difference(&a, &b), (at >= 10).then_some(at));
        assert_eq!(same(&a, &b), at < 10);
    }
}
