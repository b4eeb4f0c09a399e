//! What cannot be accepted is refused: under the right status, naming the field, in a sentence, and without harm to anybody else.

mod bodies;
mod consumers;
mod garbage;
mod messages;
mod orders;
mod requests;
mod restaurants;
mod table;
