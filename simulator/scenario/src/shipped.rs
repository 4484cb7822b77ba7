//! The scenarios that come with the program. A new one is a file and a line.

use crate::error::closest;

/// The one that runs when none is named.
pub const DEFAULT: &str = "first-look";

/// A scenario that comes with the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shipped {
    pub name: &'static str,
    pub yaml: &'static str,
}

macro_rules! shipped {
    ($($name:literal),* $(,)?) => {
        &[$(Shipped { name: $name, yaml: include_str!(concat!("../../../scenarios/", $name, ".yaml")) }),*]
    };
}

/// In the order of the list that the program prints.
pub const SHIPPED: &[Shipped] = shipped![
    "first-look",
    "everything-breaks",
    "ibm-controlled",
    "new-article",
    "contradicting-deliveries",
    "dirty-day",
    "quiet-day",
    "million-a-minute",
    "day-in-a-minute"
];

/// The text of a scenario by its name.
pub fn shipped(name: &str) -> Option<&'static str> {
    SHIPPED
        .iter()
        .find(|scenario| scenario.name == name)
        .map(|scenario| scenario.yaml)
}

/// The name of a shipped scenario that is most like `name`.
pub fn nearest(name: &str) -> Option<&'static str> {
    let names: Vec<&'static str> = SHIPPED.iter().map(|scenario| scenario.name).collect();
    closest(name, &names)
}
