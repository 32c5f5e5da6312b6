//! Figures as people read them.

/// A number with three significant digits, or a whole one.
fn short(value: f64) -> String {
    let digits = match value.abs() {
        whole if whole.fract() == 0.0 => 0,
        large if large >= 99.95 => 0,
        large if large >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

/// The value in the largest unit that it fills.
fn scaled(value: f64, units: &[(f64, &str)]) -> String {
    let fits = |unit: &&(f64, &str)| value.abs() >= unit.0;
    let unit = units.iter().find(fits).or(units.last());
    unit.map_or_else(|| short(value), |(size, name)| format!("{} {name}", short(value / size)))
}

/// A time, given in seconds.
pub fn time(seconds: f64) -> String {
    scaled(seconds, &[(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")])
}

/// A number of bytes.
pub fn bytes(count: f64) -> String {
    const KIB: f64 = 1024.0;
    scaled(count, &[(KIB * KIB * KIB, "GiB"), (KIB * KIB, "MiB"), (KIB, "KiB"), (1.0, "B")])
}

/// A rate in bytes a second.
pub fn bytes_a_second(count: f64) -> String {
    format!("{}/s", bytes(count))
}

/// A rate in events a second.
pub fn rate(count: f64) -> String {
    scaled(count, &[(1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")])
}

/// A ratio.
pub fn times(ratio: f64) -> String {
    format!("{} ×", short(ratio))
}
