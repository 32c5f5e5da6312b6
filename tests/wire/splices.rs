//! Members that are set or exchanged inside a text that stays as it is.

use drawbridge::wire::{json, splice};

fn set(text: &str, path: &[&str], value: &str) -> String {
    String::from_utf8(splice::set(text.as_bytes(), path, value.as_bytes()).to_vec()).unwrap()
}

const OURS: [&str; 2] = ["_meta", "drawbridge"];

#[test]
fn a_member_is_merged_into_an_object_of_any_shape() {
    for (before, after) in [
        (r#"{}"#, r#"{"_meta":{"drawbridge":1}}"#),
        (r#"{"a":2}"#, r#"{"a":2,"_meta":{"drawbridge":1}}"#),
        (r#"{"_meta":null,"a":2}"#, r#"{"_meta":{"drawbridge":1},"a":2}"#),
        (r#"{"_meta": { } }"#, r#"{"_meta": { "drawbridge":1} }"#),
        (r#"{"_meta":{"x":[1.0]}}"#, r#"{"_meta":{"x":[1.0],"drawbridge":1}}"#),
        (r#"{"_meta":{"drawbridge":{"old":0},"x":1}}"#, r#"{"_meta":{"drawbridge":1,"x":1}}"#),
        (r#"{"_meta":"odd"}"#, r#"{"_meta":{"drawbridge":1}}"#),
        (r#"{"_meta":{},"_meta":{"x":1}}"#, r#"{"_meta":{},"_meta":{"x":1,"drawbridge":1}}"#),
    ] {
        assert_eq!(set(before, &OURS, "1"), after);
    }
}

#[test]
fn places_are_exchanged_in_any_order() {
    let text = br#"{"a":"one","b":"two"}"#;
    let whole = json::whole(text).unwrap();
    let edits =
        ["b", "a"].map(|key| (json::find(text, whole, &[key]).unwrap(), json::quoted(key).into()));
    assert_eq!(splice::replace(text, edits.to_vec()), br#"{"a":"a","b":"b"}"#.as_slice());
}
