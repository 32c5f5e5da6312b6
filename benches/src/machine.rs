//! The machine and the programs of a measurement.

use std::fs;
use std::io;
use std::process::Command;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::utsname::uname;
use nix::unistd::Pid;

use crate::paths::Programs;

/// Puts this process, and everything it starts, on one processor: the first that it may use.
pub fn pin() -> io::Result<usize> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or_default());
    let first = first.ok_or_else(|| io::Error::other("there is no processor to run on"))?;
    let mut one = CpuSet::new();
    one.set(first)?;
    sched_setaffinity(this, &one)?;
    Ok(first)
}

/// The facts that a reader needs about the origin of the figures: name and value.
pub fn facts(programs: &Programs, cpu: usize) -> io::Result<Vec<(&'static str, String)>> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
    let cores = cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
    let system = uname()?;
    let kernel =
        [system.sysname(), system.release(), system.machine()].map(|part| part.to_string_lossy());
    let conductor = match &programs.conductor {
        Some(conductor) => said(Command::new(conductor).arg("--version"))?,
        None => "not installed, left out".to_owned(),
    };
    Ok(vec![
        ("Processor", format!("{model}, {cores} cores; everything pinned to core {cpu}")),
        ("System", kernel.join(" ")),
        ("Date", said(Command::new("date").args(["-u", "+%F"]))?),
        ("Compiler", said(Command::new("rustc").arg("--version"))?),
        ("drawbridge", said(Command::new(&programs.drawbridge).arg("--version"))?),
        ("Conductor", conductor),
    ])
}

/// The first line that a program prints.
fn said(command: &mut Command) -> io::Result<String> {
    let output = command.output()?.stdout;
    Ok(String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned())
}
