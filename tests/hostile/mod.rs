//! Drawing hostile requests, and saying what they mean.

mod dice;
mod draw;
mod meaning;

pub use dice::Dice;
pub use draw::{Request, likely, wild};
pub use meaning::meaning;
