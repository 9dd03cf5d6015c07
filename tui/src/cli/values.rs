//! Values as people write them on the command line; what is none is a usage error that says how to write one.

use std::path::PathBuf;
use std::time::Duration;

use collab_core::plan::PLANNERS;
use collab_core::time::Micros;
use collab_models::catalogue::Scale;
use collab_worker::emulation;

use crate::replay::SPEEDS;

/// A tensor shape.
#[derive(Clone, Debug)]
pub struct Shape(pub Vec<usize>);

/// Checks that a device is one, so that a wrong one is a usage error.
pub(super) fn parse_device(text: &str) -> Result<String, String> {
    emulation::preset(text).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(super) fn parse_planner(text: &str) -> Result<String, String> {
    let known = collab_core::plan::planner(text).map(|_| text.to_owned());
    known.ok_or_else(|| format!("there is no planner '{text}'; choose one of {}", PLANNERS.join(", ")))
}

pub(super) fn parse_planner_or_all(text: &str) -> Result<String, String> {
    if text == "all" { Ok(text.to_owned()) } else { parse_planner(text) }
}

pub(super) fn parse_shape(text: &str) -> Result<Shape, String> {
    let sizes: Result<Vec<usize>, _> = text.split(['x', ',']).map(str::parse).collect();
    sizes.map(Shape).map_err(|_| format!("'{text}' is no shape; write it as 1x3x224x224"))
}

pub(super) fn parse_scale(text: &str) -> Result<Scale, String> {
    let known = Scale::NAMES.iter().find(|(name, _)| *name == text);
    known.map(|(_, scale)| *scale).ok_or_else(|| {
        format!("'{text}' is no scale; choose one of {}", Scale::NAMES.map(|(name, _)| name).join(", "))
    })
}

/// Reads `4:47`, `1:02:03` or plain seconds.
pub(super) fn parse_moment(text: &str) -> Result<Micros, String> {
    Micros::parse(text).ok_or_else(|| format!("'{text}' is no time; write it as 4:47"))
}

/// Reads a replay's speed.
pub(super) fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok().filter(|speed| SPEEDS.contains(speed));
    speed.ok_or_else(|| format!("'{text}' is no speed; it is {} to {}", SPEEDS.start(), SPEEDS.end()))
}

/// Reads `30s`, `2m` or `1h 30m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|_| format!("'{text}' is no length of time; write it as 30s or 2m"))
}

/// Reads minutes or seconds, of which there must be some.
pub(super) fn parse_some(text: &str) -> Result<f64, String> {
    let some = text.parse().ok().filter(|amount| (0.001..=1e6).contains(amount));
    some.ok_or_else(|| format!("'{text}' is none; it is 0.001 to 1000000"))
}

/// Checks that a file's name says how an output is to be written.
pub(super) fn parse_output(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    let known = path
        .extension()
        .is_some_and(|end| ["png", "f32"].iter().any(|known| end.eq_ignore_ascii_case(known)));
    if known {
        Ok(path)
    } else {
        Err(format!("'{text}' ends neither in .png (a picture) nor in .f32 (its values)"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_time_is_told_how_to_write_one() {
        assert_eq!(parse_moment("4:47"), Ok(Micros(287_000_000)));
        assert!(parse_moment("4:-1").unwrap_err().contains("4:47"));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("abc").unwrap_err().contains("30s"));
        assert_eq!(parse_some("1.9"), Ok(1.9));
        assert!(["0", "-1", "nan", "inf", "ten"].into_iter().all(|none| parse_some(none).is_err()));
    }

    #[test]
    fn an_output_is_a_picture_or_its_values_by_its_name() {
        assert_eq!(parse_output("a/b.PNG"), Ok(PathBuf::from("a/b.PNG")));
        assert!(parse_output("b.f32").is_ok());
        assert!(parse_output("b.jpg").unwrap_err().contains(".png") && parse_output("png").is_err());
    }
}
