//! JSON-RPC frames: told apart on the way in, spelled out on the way out.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A line that came in.
pub(crate) enum Frame {
    Request(Request),
    Notification { method: String, params: Value },
    Reply { id: String, reply: Reply },
    Broken(Fault),
}

/// A request of the client; its id is given back in its own spelling.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) raw_params: String,
    pub(crate) params: Value,
}

/// The client's answer to a request of ours.
pub(crate) enum Reply {
    Result(Value),
    Error { code: i64, message: String },
}

/// An error that we answer with.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl Fault {
    pub(crate) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    pub(crate) fn about(code: i64, message: &str, session: &str) -> Self {
        let data = Some(json!({ "sessionId": session }));
        Self { code, message: format!("{message}: {session}"), data }
    }

    pub(crate) fn unknown_session(id: &str) -> Self {
        Self::about(-32602, "unknown session", id)
    }
}

/// Reads one line.
pub(crate) fn parse(line: &str) -> Frame {
    if serde_json::from_str::<&RawValue>(line).is_err() {
        return Frame::Broken(Fault::new(-32700, "not a line of JSON"));
    }
    let Ok(mut members) = serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(line) else {
        return Frame::Broken(Fault::new(-32600, "not a message"));
    };
    let id = members.remove("id").map(|raw| raw.get().to_owned());
    let method = members.remove("method").map(|raw| value(raw.get()));
    match (id, method) {
        (id, Some(Value::String(method))) => {
            let raw_params =
                members.remove("params").map_or_else(|| "null".to_owned(), |raw| raw.get().into());
            let params = value(&raw_params);
            match id {
                Some(id) => Frame::Request(Request { id, method, raw_params, params }),
                None => Frame::Notification { method, params },
            }
        }
        (Some(id), None) => match (members.remove("result"), members.remove("error")) {
            (Some(result), _) => Frame::Reply { id, reply: Reply::Result(value(result.get())) },
            (None, Some(error)) => {
                let error = value(error.get());
                let code = error["code"].as_i64().unwrap_or(0);
                let message = text(&error["message"]);
                Frame::Reply { id, reply: Reply::Error { code, message } }
            }
            (None, None) => Frame::Broken(Fault::new(-32600, "neither result nor error")),
        },
        _ => Frame::Broken(Fault::new(-32600, "neither request nor answer")),
    }
}

/// The value as a string; empty if it is no string.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn value(raw: &str) -> Value {
    serde_json::from_str(raw).unwrap_or(Value::Null)
}

/// An answer; `result` is JSON as it is to be sent.
pub(crate) fn result(id: &str, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
}

/// An answer in an odd but correct spelling. `result` is an object that is not empty.
pub(crate) fn exotic_result(id: &str, result: &str) -> String {
    let members = result
        .trim_start_matches('{')
        .replace(r#""sessionId":"s"#, r#""sessionId" :"\u0073"#)
        .replace(r#""end_turn""#, r#""end\u005fturn""#);
    format!(
        concat!(
            r#"  {{ "result"	:{{"_meta" :{{ "exotic":[1.0e+2,  -0.0E-7] }},"x-unknown":{{"#,
            r#""hundred":1.0e+2,"huge":12345678901234567890123,"letter":"\u0041\/","face":"#,
            r#""\ud83d\ude00","nothing":null , "k\u0065y":true}} , {members}  ,"x-beside":[ ],"#,
            r#" "id" :{id},"jsonrpc":"\u0032.0"	}} "#
        ),
        members = members,
        id = id,
    )
}

/// The answer that a request dictates: beside the id it has the members of the object
/// `answer` in the request's params, as they are spelled there.
pub(crate) fn dictated(request: &Request) -> Option<String> {
    let params: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&request.raw_params).ok()?;
    let members = params.get("answer")?.get().strip_prefix('{')?;
    Some(format!(r#"{{"id" : {},{members}"#, request.id))
}

/// An error answer.
pub(crate) fn error(id: &str, fault: &Fault) -> String {
    let mut error = json!({ "code": fault.code, "message": fault.message });
    if let Some(data) = &fault.data {
        error["data"] = data.clone();
    }
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#)
}

/// A request of our own.
pub(crate) fn request(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

/// A notification; `params` is JSON as it is to be sent.
pub(crate) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, json!(method))
}

/// A `session/update`.
pub(crate) fn update(session: &str, update: &Value) -> String {
    let params = json!({ "sessionId": session, "update": update });
    json!({ "jsonrpc": "2.0", "method": "session/update", "params": params }).to_string()
}

/// The update that carries a piece of text; `kind` is one of the `…_chunk` updates.
pub(crate) fn chunk(kind: &str, text: &str) -> Value {
    json!({ "sessionUpdate": kind, "content": { "type": "text", "text": text } })
}
