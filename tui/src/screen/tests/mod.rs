//! What is drawn and asked for, from real folded stories.

mod desk;
mod driving;
mod hostile;
mod keys;
mod layers;
mod networks;
mod pictures;
mod prompt;
mod sizes;
mod story;
mod training;
