//! Fine-tuning through the emulation: a trained model is trained on, pruned and rounded in every forward pass as a recipe says, so that it
//! learns to live with what a machine does to it.
//!
//! A [`Recipe`] says what training sees of the configuration, [`Settings`] are everything that decides a run beside its model and its data,
//! [`run()`] trains in a folder. Dense weights are what is trained: a pruned one gets gradients and may come back. The
//! result is measured through a [`Session`](crate::session::Session), before and after.
//!
//! A run that was killed goes on from its last checkpoint with the same bits: what a step draws depends on the seed and the step alone.

mod checkpoint;
mod digits;
mod learner;
mod measure;
mod optimizer;
mod recipe;
mod run;
mod settings;
mod start;
mod teacher;
mod text;
mod trainee;

pub use digits::Digits;
pub use measure::{Measured, Score};
pub use recipe::{RECIPES, Recipe};
pub use run::{CARD, Data, Event, Finished, Outcome, Subject, discard, finish, finished, identity, run};
pub use settings::{Masks, Settings};
pub use start::Start;
pub use text::Text;
