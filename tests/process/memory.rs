//! The memory of a process of ours: what only its start has needed is given back.

use std::fs;

use crate::bridge::Setup;
use crate::processes::{eventually, figure};
use crate::site::{SHORT, Site};

/// Waits until a process that does nothing holds less than half of what it once held.
pub(crate) fn gives_back(pid: u32) {
    eventually("the start's memory to be given back", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a living process");
        figure(&status, "VmRSS") < figure(&status, "VmHWM") / 2
    });
}

#[test]
fn a_bridge_and_its_keeper_give_it_back_and_go_on() {
    let mut bridge = Setup::new(&[], &[]).start();
    gives_back(bridge.pid());
    bridge.initialize();
    bridge.keepers().into_iter().for_each(gives_back);
    let session = bridge.new_session();
    assert_eq!(bridge.turn(&session, "say hello"), ["hello"]);
    bridge.end();
}

#[test]
fn a_daemon_and_a_shim_give_it_back_and_go_on() {
    let mut site = Site::new(SHORT);
    gives_back(site.serve(&[]));
    let mut editor = site.editor(&[]);
    gives_back(editor.pid());
    editor.initialize();
    let session = editor.new_session();
    assert_eq!(editor.turn(&session, "say hello"), ["hello"]);
    editor.leave();
    site.end();
}
