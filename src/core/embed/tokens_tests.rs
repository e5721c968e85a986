//! Tests of [`super::TextTokenizer`] with the vocabulary of a test's directory.

use super::super::folder::tests::directory;
use super::super::folder::tokenizer_file;
use super::*;

fn tokenizer(max_tokens: usize) -> TextTokenizer {
    let place = directory();
    let mut folder = Folder::read(place.path(), place.path()).unwrap();
    folder.max_tokens = max_tokens;
    TextTokenizer::new(&folder, &tokenizer_file(directory().path()).unwrap()).unwrap()
}

#[test]
fn a_text_is_cut_at_the_limit_and_that_is_told() {
    let tokenizer = tokenizer(4);
    let all = tokenizer.tokens("word word other word", true).unwrap();
    assert_eq!((all.ids, all.truncated), (vec![2, 2, 0, 2], false));
    let more = tokenizer.tokens("word word other word word", true).unwrap();
    assert_eq!((more.ids, more.truncated), (vec![2, 2, 0, 2], true));
    assert_eq!(tokenizer.tokens("", true).unwrap(), Tokens::default());
    assert!(tokenizer.tokens("word", false).unwrap().truncated);
}

#[test]
fn a_long_text_has_the_tokens_of_the_whole_of_it() {
    let tokenizer = tokenizer(64);
    let word = |gap: usize, count: usize| format!("{}word", " ".repeat(gap)).repeat(count);
    for text in [
        word(1, 10_000),
        word(500, 2000),
        word(900_000, 1),
        word(70_000, 14),
    ] {
        let (whole, left) = tokenizer.encode(&text).unwrap();
        let tokens = tokenizer.tokens(&text, true).unwrap();
        assert_eq!(tokens.ids, whole.ids);
        assert_eq!(tokens.truncated, left > 0);
        assert_eq!(tokens.truncated, text.matches("word").count() > 64);
    }
}

#[test]
fn the_padding_is_the_folders() {
    let place = directory();
    let mut folder = Folder::read(place.path(), place.path()).unwrap();
    assert_eq!(
        TextTokenizer::new(&folder, &tokenizer_file(directory().path()).unwrap())
            .unwrap()
            .pad_id,
        1
    );
    folder.pad_id = Some(7);
    assert_eq!(
        TextTokenizer::new(&folder, &tokenizer_file(directory().path()).unwrap())
            .unwrap()
            .pad_id,
        7
    );
}

#[test]
fn a_prefix_ends_between_two_characters() {
    assert_eq!(prefix("aé", 2), "a");
    assert_eq!(prefix("aé", 3), "aé");
    assert_eq!(prefix("aé", 99), "aé");
}
