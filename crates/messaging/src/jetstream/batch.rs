//! What of a batch is stored, what waits, and what may be sent next.
//!
//! A message waits until the one before it with its key is stored. So a key's order survives whatever happens to one of its messages: a
//! refusal while its successors are on their way, a stream that is made anew between two of them, a new leader that lost what the old
//! one had taken. Different keys are sent without waiting.

use crate::Message;
use std::collections::{HashMap, VecDeque};

/// Messages to be published, and how far that is.
pub(super) struct Batch<'a> {
    messages: &'a [Message],
    is_stored: Vec<bool>,
    /// How many of the first messages are stored.
    stored: usize,
    /// Of each message, the next one with its key.
    successors: Vec<Option<usize>>,
    /// What waits for nothing.
    sendable: VecDeque<usize>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(messages: &'a [Message]) -> Self {
        let is_stored = vec![false; messages.len()];
        Batch { messages, is_stored, stored: 0, successors: vec![None; messages.len()], sendable: VecDeque::new() }
    }

    /// Lines up all that is not stored, whether or not it was sent before.
    pub(super) fn line_up(&mut self) {
        self.sendable.clear();
        let mut last_of_key: HashMap<(&str, &str), usize> = HashMap::with_capacity(self.messages.len());
        for (index, message) in self.messages.iter().enumerate().skip(self.stored) {
            if self.is_stored[index] {
                continue;
            }
            match last_of_key.insert((&message.channel, &message.key), index) {
                None => self.sendable.push_back(index),
                Some(before) => self.successors[before] = Some(index),
            }
        }
    }

    /// The next message that may be sent.
    pub(super) fn next(&mut self) -> Option<usize> {
        self.sendable.pop_front()
    }

    pub(super) fn message(&self, index: usize) -> &'a Message {
        &self.messages[index]
    }

    /// Notes that a message is stored, so that its successor may go.
    pub(super) fn note_stored(&mut self, index: usize) {
        self.is_stored[index] = true;
        while self.is_stored.get(self.stored) == Some(&true) {
            self.stored += 1;
        }
        if let Some(successor) = self.successors[index].take() {
            // First, since a key with many messages takes the longest.
            self.sendable.push_front(successor);
        }
    }

    /// How many of the first messages are stored.
    pub(super) fn stored(&self) -> usize {
        self.stored
    }

    /// What is not stored, and perhaps some that is.
    pub(super) fn rest(&self) -> &'a [Message] {
        &self.messages[self.stored..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::{Just, any, prop_assert, prop_assert_eq, proptest};
    use proptest::strategy::Strategy;

    fn messages(keys: &str) -> Vec<Message> {
        let message = |key: char| Message::new("orders", "comanda.Test", key.to_string(), String::new(), Vec::new());
        keys.chars().map(message).collect()
    }

    fn all_sendable(batch: &mut Batch<'_>) -> Vec<usize> {
        std::iter::from_fn(|| batch.next()).collect()
    }

    #[test]
    fn the_first_message_of_each_key_may_go_at_once() {
        let messages = messages("abacb");
        let mut batch = Batch::new(&messages);

        batch.line_up();

        assert_eq!(all_sendable(&mut batch), [0, 1, 3]);
    }

    #[test]
    fn a_message_may_go_when_the_one_before_it_with_its_key_is_stored() {
        let messages = messages("aab");
        let mut batch = Batch::new(&messages);
        batch.line_up();
        assert_eq!(all_sendable(&mut batch), [0, 2]);

        batch.note_stored(2);
        assert_eq!((batch.next(), batch.stored()), (None, 0));
        batch.note_stored(0);

        assert_eq!((batch.next(), batch.stored()), (Some(1), 1));
    }

    #[test]
    fn what_was_sent_and_not_stored_is_sent_again_before_its_successor() {
        let messages = messages("aa");
        let mut batch = Batch::new(&messages);
        batch.line_up();
        assert_eq!(all_sendable(&mut batch), [0]);

        batch.line_up();

        assert_eq!(all_sendable(&mut batch), [0]);
    }

    proptest! {
        /// Answers come in any order, some say no, and now and then everything begins again.
        #[test]
        fn every_message_is_stored_once_and_after_those_before_it(
            (keys, answers) in "[a-d]{1,30}".prop_flat_map(|keys| (Just(keys), vec(any::<(u8, bool, bool)>(), 200)))
        ) {
            let messages = messages(&keys);
            let mut batch = Batch::new(&messages);
            let mut stored: Vec<usize> = Vec::new();
            let mut in_flight: Vec<usize> = Vec::new();
            batch.line_up();
            for (which, is_yes, is_lost) in answers {
                in_flight.extend(all_sendable(&mut batch));
                if in_flight.is_empty() || is_lost {
                    in_flight.clear();
                    batch.line_up();
                    continue;
                }
                let index = in_flight.swap_remove(usize::from(which) % in_flight.len());
                if is_yes {
                    batch.note_stored(index);
                    stored.push(index);
                }
            }

            for (place, index) in stored.iter().enumerate() {
                prop_assert!(!stored[..place].contains(index));
                let older = messages[..*index].iter().enumerate().filter(|(_, it)| it.key == messages[*index].key);
                prop_assert!(older.into_iter().all(|(older, _)| stored[..place].contains(&older)));
            }
            let prefix = (0..messages.len()).take_while(|index| stored.contains(index)).count();
            prop_assert_eq!(batch.stored(), prefix);
        }
    }
}
