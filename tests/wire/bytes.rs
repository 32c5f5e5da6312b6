//! Bytes of others pass through untouched.

use drawbridge::wire::line::{Line, LineSplitter};
use drawbridge::wire::{Frame, Token, json};
use proptest::prelude::*;

use crate::frame;

/// Everything that a reader might be tempted to write in another way.
const EXOTIC: &str = r#"  { "jsonrpc" :"2.0","x":1.0e+2 , "id": 12345678901234567890123, "method":"session\/update" ,"params":{ "sessionId":"s","update":{"sessionUpdate":"from_the_future","n":-0,"t":"\u00e9\ud83d\ude00\/","same":1,"same":2},"_meta":{ "k" : [ ] } } }  "#;

#[test]
fn what_needs_no_change_goes_out_as_it_came() {
    assert_eq!(frame(EXOTIC).whole().to_bytes(), EXOTIC);
}

#[test]
fn another_id_changes_the_id_alone() {
    let out = frame(EXOTIC).with_id(Token::number(9)).to_bytes();
    assert_eq!(out, EXOTIC.replace("12345678901234567890123", "9"));
}

proptest! {
    #[test]
    fn any_text_and_any_number_pass(text in any::<String>(), number in any::<f64>(), spaces in " {0,3}") {
        prop_assume!(number.is_finite());
        let line = format!(
            "{{{spaces}\"id\":{spaces}1,\"method\":\"m\",\"params\":{{\"t\":{},\"n\":{number}}}}}{spaces}",
            json::quoted(&text),
        );
        let frame = Frame::parse(line.clone().into()).unwrap();
        prop_assert_eq!(frame.whole().to_bytes(), line.as_bytes());
        let there = Frame::parse(frame.with_id(Token::number(77)).to_bytes()).unwrap();
        prop_assert_eq!(there.with_id(frame.id()).to_bytes(), line.as_bytes());
    }

    #[test]
    fn lines_come_out_as_they_went_in_however_they_are_cut(
        lines in prop::collection::vec("[!-~]{1,40}", 1..20),
        cuts in prop::collection::vec(1_usize..30, 1..40),
    ) {
        let stream: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let mut cutter = LineSplitter::new(40);
        let mut found = Vec::new();
        let mut rest = stream.as_slice();
        let mut cuts = cuts.into_iter().cycle();
        while !rest.is_empty() {
            let (chunk, left) = rest.split_at(cuts.next().unwrap().min(rest.len()));
            rest = left;
            cutter.buffer().extend_from_slice(chunk);
            while let Some(line) = cutter.next_line() {
                let Line::Whole(bytes) = line else { panic!("no line is too long") };
                found.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
        }
        prop_assert_eq!(found, lines);
        prop_assert_eq!(cutter.finish(), None);
    }
}

#[test]
fn a_number_of_our_own_is_spelled_as_a_number() {
    for number in [0, 1, 9, 10, 99, 100, 12_345, u64::MAX - 1, u64::MAX] {
        let token = Token::number(number);
        assert_eq!(token.as_bytes(), number.to_string().as_bytes());
        assert_eq!(token, Token::new(number.to_string().as_bytes()));
    }
}
