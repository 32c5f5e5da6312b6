//! The two pictures, as SVG: on a background of their own, so that they can be
//! read in light and in dark.

use std::fmt::Write as _;

use crate::measure::PerPath;
use crate::measure::speed::{SIZES, Speed};
use crate::paths::Path;
use crate::payload::Style;
use crate::stats::Latency;
use crate::units::{bytes, bytes_a_second, time};

const WIDTH: f64 = 760.0;
const INK: &str = "#1f2328";
const FAINT: &str = "#59636e";
const GRID: &str = "#d1d9e0";

fn colour(path: Path) -> &'static str {
    match path {
        Path::Direct => "#8c959f",
        Path::Relay => "#1a7f37",
        Path::TwoRelays => "#4ac26b",
        Path::Drawbridge => "#0969da",
        Path::Connect => "#8250df",
        Path::Conductor => "#bc4c00",
    }
}

/// The point of a text that lies at its coordinates.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

struct Picture {
    body: String,
    height: f64,
}

impl Picture {
    fn new(height: f64, title: &str, subtitle: &str) -> Picture {
        let mut picture = Picture { body: String::new(), height };
        picture.add(format!(
            r##"<rect x="0.5" y="0.5" width="{}" height="{}" rx="8" fill="#ffffff" stroke="{GRID}"/>"##,
            WIDTH - 1.0,
            height - 1.0
        ));
        picture.add(format!(
            r#"<text x="24" y="34" font-size="17" font-weight="600" fill="{INK}">{title}</text>"#
        ));
        picture
            .add(format!(r#"<text x="24" y="54" font-size="12" fill="{FAINT}">{subtitle}</text>"#));
        picture
    }

    fn add(&mut self, element: impl AsRef<str>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "  {}", element.as_ref());
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, ink: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.add(format!(
            r#"<text x="{x:.1}" y="{y:.1}" font-size="12" text-anchor="{anchor}" fill="{ink}">{text}</text>"#
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), ink: &str) {
        self.add(format!(
            r#"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="{ink}"/>"#
        ));
    }

    fn finish(self, title: &str) -> String {
        let Picture { body, height } = self;
        format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="{title}" font-family="system-ui, 'Segoe UI', 'DejaVu Sans', Helvetica, Arial, sans-serif">
{body}</svg>
"#
        )
    }
}

/// Bars: the median round trip of each path.
pub fn round_trip(trips: &PerPath<Latency>) -> String {
    let title = "Prompt round trip";
    let (left, right, top, step) = (120.0, WIDTH - 180.0, 80.0, 40.0);
    let mut picture = Picture::new(
        top + step * trips.len() as f64 + 12.0,
        title,
        "from the client to the agent and back, everything on one core; bars: medians; shorter is better",
    );
    let longest = trips.values().map(|trip| trip.p50).fold(0.0, f64::max);
    for (row, (path, trip)) in trips.iter().enumerate() {
        let y = top + step * row as f64;
        let width = (right - left) * trip.p50 / longest;
        picture.text(left - 12.0, y + 16.0, Anchor::End, INK, &path.to_string());
        picture.add(format!(
            r#"<rect x="{left}" y="{y:.1}" width="{width:.1}" height="24" rx="2" fill="{}"/>"#,
            colour(*path)
        ));
        let label = format!("{} (p99 {})", time(trip.p50), time(trip.p99));
        picture.text(left + width + 10.0, y + 16.0, Anchor::Start, INK, &label);
    }
    picture.finish(title)
}

/// Lines: bytes a second over the size of a message, both logarithmic.
pub fn throughput(speed: &Speed) -> String {
    let title = "Throughput against message size";
    let (left, right, top, bottom) = (96.0, WIDTH - 110.0, 80.0, 400.0);
    let mut picture = Picture::new(
        bottom + 62.0,
        title,
        "floods of session/update with plain text, everything on one core; both axes logarithmic; higher is better",
    );
    let volume = |path, size| Some(speed.rate(size, Style::Plain, path)? * size as f64);
    let all = Path::ALL.iter().flat_map(|path| SIZES.map(|size| volume(*path, size)));
    let (low, high) = all
        .flatten()
        .fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)));
    // Whole powers of four around what there is.
    let (low, high) = (low.log2().div_euclid(2.0) * 2.0, (high.log2() / 2.0).ceil() * 2.0);
    let across = |size: usize| {
        let (first, last) = (SIZES[0] as f64, SIZES[SIZES.len() - 1] as f64);
        left + (right - left) * (size as f64 / first).log2() / (last / first).log2()
    };
    let up = |value: f64| bottom - (bottom - top) * (value.log2() - low) / (high - low);
    let mut power = low;
    while power <= high {
        let y = up(power.exp2());
        picture.line((left, y), (right, y), GRID);
        picture.text(left - 10.0, y + 4.0, Anchor::End, FAINT, &bytes_a_second(power.exp2()));
        power += 2.0;
    }
    for size in SIZES {
        picture.line((across(size), top), (across(size), bottom), GRID);
        picture.text(across(size), bottom + 20.0, Anchor::Middle, FAINT, &bytes(size as f64));
    }
    picture.text((left + right) / 2.0, bottom + 44.0, Anchor::Middle, FAINT, "size of a message");
    let mut labels = Vec::new();
    for path in Path::ALL {
        let points: Vec<_> = SIZES
            .iter()
            .filter_map(|size| Some((across(*size), up(volume(path, *size)?))))
            .collect();
        let Some((_, last)) = points.last() else { continue };
        let ink = colour(path);
        let corners: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        picture.add(format!(
            r#"<polyline points="{}" fill="none" stroke="{ink}" stroke-width="2.5" stroke-linejoin="round"/>"#,
            corners.join(" ")
        ));
        for (x, y) in &points {
            picture.add(format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{ink}"/>"#));
        }
        labels.push((*last, path));
    }
    for (y, path) in spread(labels) {
        picture.text(right + 10.0, y + 4.0, Anchor::Start, colour(path), &path.to_string());
    }
    picture.finish(title)
}

/// Moves labels down until none lies on another.
fn spread(mut labels: Vec<(f64, Path)>) -> Vec<(f64, Path)> {
    labels.sort_by(|one, other| one.0.total_cmp(&other.0));
    let mut free = f64::MIN;
    for (y, _) in &mut labels {
        *y = y.max(free);
        free = *y + 16.0;
    }
    labels
}
