//! The kind of values that are addresses to listen at.

use std::ffi::OsStr;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::kinds::{Bare, Face, ValueKind};

/// The address of a TCP listener, or `off`.
pub(super) struct ListenAddress;

impl ValueKind for ListenAddress {
    type Value = Option<SocketAddr>;

    fn read(&self, text: &OsStr) -> Result<Option<SocketAddr>, String> {
        let text = text.to_str().unwrap_or_default();
        if text == "off" {
            return Ok(None);
        }
        let of_localhost = |text: &str| {
            let port = text.strip_prefix("localhost:")?.parse().ok()?;
            Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
        };
        let address = text.parse().ok().or_else(|| of_localhost(text));
        address.map(Some).ok_or_else(|| {
            "give an IP address and a port, such as 127.0.0.1:9464 or [::1]:9464, or off".to_owned()
        })
    }

    fn write(&self, value: &Option<SocketAddr>) -> String {
        value.map_or_else(|| "off".to_owned(), |address| address.to_string())
    }

    fn face(&self) -> Face {
        Face { value_name: "ADDRESS", bare: Bare::Nothing, words: Vec::new() }
    }
}
