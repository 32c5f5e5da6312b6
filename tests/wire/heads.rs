//! What is read of a message, and what of an over-long one.

use drawbridge::wire::{Frame, FrameKind, Glimpse, Method, Token};

use crate::frame;

#[test]
fn a_request_is_told_from_a_notification_by_the_presence_of_its_id() {
    assert_eq!(frame(r#"{"id":1,"method":"session/new"}"#).kind, FrameKind::Request);
    assert_eq!(frame(r#"{"id":null,"method":"session/new"}"#).kind, FrameKind::Request);
    assert_eq!(frame(r#"{"method":"session/new"}"#).kind, FrameKind::Notification);
}

#[test]
fn a_null_result_is_an_answer() {
    assert_eq!(frame(r#"{"id":1,"result":null}"#).kind, FrameKind::Success);
    assert_eq!(frame(r#"{"id":null,"result":null}"#).kind, FrameKind::Success);
    assert_eq!(frame(r#"{"id":1,"result":{},"error":null}"#).kind, FrameKind::Success);
    assert_eq!(frame(r#"{"id":1,"error":{"code":-1}}"#).kind, FrameKind::Failure);
}

#[test]
fn every_spelling_of_an_id_is_kept() {
    for id in [
        "1",
        "1.0",
        "\"1\"",
        "null",
        "-0",
        "1e2",
        "123456789012345678901234567890",
        "\"\\u0041\\/b\"",
        "\"a very long identifier that does not fit into the short form\"",
    ] {
        let line = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"m"}}"#);
        let frame = frame(&line);
        assert_eq!(frame.id(), Token::new(id.as_bytes()));
        let there = frame.with_id(Token::number(42)).to_bytes();
        assert_eq!(there, line.replace(&format!("\"id\":{id}"), "\"id\":42"));
        let back = Frame::parse(there).unwrap().with_id(frame.id()).to_bytes();
        assert_eq!(back, line);
    }
}

#[test]
fn names_are_compared_decoded() {
    let frame = frame(
        r#"{"\u0069d":7,"method":"session\/prompt","params":{"\u0073essionId":"s\u0031\n"}}"#,
    );
    assert_eq!(frame.method, Method::SessionPrompt);
    assert_eq!(frame.session().unwrap(), "s1\n");
    assert_eq!(frame.number(), Some(7));
}

#[test]
fn only_the_members_of_params_itself_count() {
    let frame = frame(
        r#"{"sessionId":"no","method":"m","params":{"deep":{"sessionId":"no"},"sessionId":"yes"}}"#,
    );
    assert_eq!(frame.session().unwrap(), "yes");
    let nothing = crate::frame(r#"{"method":"m","params":[{"sessionId":"no"}]}"#);
    assert_eq!(nothing.session(), None);
}

#[test]
fn the_last_of_two_members_counts() {
    let frame = frame(r#"{"id":1,"id":2,"method":"m","params":{"sessionId":"a","sessionId":"b"}}"#);
    assert_eq!(frame.number(), Some(2));
    assert_eq!(frame.session().unwrap(), "b");
}

#[test]
fn of_an_object_that_occurs_twice_nothing_in_the_first_one_counts() {
    let nothing = frame(r#"{"id":1,"method":"m","params":{"sessionId":"a"},"params":{"x":1}}"#);
    assert_eq!(nothing.session(), None);
    assert_eq!(frame(r#"{"method":"m","params":{"requestId":1},"params":null}"#).request(), None);
    let update = frame(
        r#"{"method":"m","params":{"update":{"sessionId":"c"},"update":{"sessionUpdate":"d"}}}"#,
    );
    assert_eq!((update.child_session(), update.update_kind().as_deref()), (None, Some("d")));
}

#[test]
fn a_key_that_is_half_a_character_is_carried_like_any_other() {
    let frame = frame(r#"{"id":1,"method":"m","params":{"\ud800":1,"sessionId":"s"},"\udc00":2}"#);
    assert_eq!(frame.session().unwrap(), "s");
}

#[test]
fn an_update_says_its_kind_and_the_child_it_names() {
    let frame = frame(
        r#"{"method":"session/update","params":{"update":{"sessionId":"child","sessionUpdate":"subagent_update"},"sessionId":"parent"}}"#,
    );
    assert_eq!(frame.update_kind().unwrap(), "subagent_update");
    assert_eq!(frame.child_session().unwrap(), "child");
    assert_eq!(frame.session().unwrap(), "parent");
}

#[test]
fn of_an_over_long_line_the_id_is_seen_at_either_end() {
    let seen =
        Frame::glimpse(br#"{"jsonrpc":"2.0","id":"x","method":"m","params":{"t":"aaaa"#, b"aaaa");
    assert_eq!(seen, Glimpse::Request(Token::new(b"\"x\"")));

    let seen = Frame::glimpse(br#"{"result":{"text":"aaaa"#, br#"aaaa"}, "id" : 12 } "#);
    assert_eq!(seen, Glimpse::Answer(Token::new(b"12")));

    let params_first = br#"{"jsonrpc":"2.0","id":3,"params":{"content":"aaaa"#;
    let seen = Frame::glimpse(params_first, br#"aaaa"},"method":"fs/write_text_file"}"#);
    assert_eq!(seen, Glimpse::Request(Token::new(b"3")));

    let inner = Frame::glimpse(br#"{"result":{"text":"aaaa"#, br#"aaaa","id":12}}"#);
    assert_eq!(inner, Glimpse::Nothing, "the id of something inside is not the message's");
}
