//! Small drawings made of characters. None of them knows the lab.

pub(super) mod bar;
pub(super) mod errorbar;
pub(super) mod gantt;
pub(super) mod picture;
pub(super) mod plot;
pub(super) mod ribbon;
pub(super) mod spark;
pub(super) mod table;
