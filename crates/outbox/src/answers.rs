//! How far the other sides have come with what they were sent, as their replies tell.

use messaging::Message;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long there was no reply before the next one is news.
pub(crate) const SILENCE: Duration = Duration::from_secs(10);
/// Kinds of replies that are told apart; a service has some ten.
const KINDS_MAX: usize = 256;

/// What was heard of those who answer commands. Clones share it: [`crate::Reviving`] hears, and [`crate::sweep()`] asks.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<HashMap<String, Heard>>>);

/// The replies of one kind.
#[derive(Debug)]
struct Heard {
    at: Instant,
    /// Where the commands go that are answered so; `None`: that is not known yet.
    channel: Option<String>,
    /// When the latest command was sent that is answered, in microseconds since 1970.
    sent_us: i64,
}

/// What a reply tells beside what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct News {
    /// Nothing of its kind was heard for a while, which includes that it never was.
    pub(crate) breaks_silence: bool,
    /// Nobody has said yet where the commands go that are answered so.
    pub(crate) is_of_unknown_channel: bool,
}

impl Answers {
    /// Takes note of a reply.
    pub(crate) fn hear(&self, reply: &Message, now: Instant, now_us: i64) -> News {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kinds.len() >= KINDS_MAX && !kinds.contains_key(&reply.kind) {
            return News { breaks_silence: false, is_of_unknown_channel: false };
        }
        // A clock that is ahead must not make everything look overtaken.
        let sent_us = reply.causation_id.and_then(messaging::MessageId::made_us).unwrap_or(0).min(now_us);
        let Some(heard) = kinds.get_mut(&reply.kind) else {
            kinds.insert(reply.kind.clone(), Heard { at: now, channel: None, sent_us });
            return News { breaks_silence: true, is_of_unknown_channel: true };
        };
        let breaks_silence = now.duration_since(heard.at) >= SILENCE;
        (heard.at, heard.sent_us) = (now, heard.sent_us.max(sent_us));
        News { breaks_silence, is_of_unknown_channel: heard.channel.is_none() }
    }

    /// Says where the commands go that are answered by replies of a kind.
    pub(crate) fn come_from(&self, kind: &str, channel: &str) {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(heard) = kinds.get_mut(kind) {
            heard.channel = Some(channel.to_owned());
        }
    }

    /// The channels whose commands were answered of late, and when the latest of those was sent, in microseconds since 1970.
    pub(crate) fn lately(&self, now: Instant) -> HashMap<String, i64> {
        let kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut channels = HashMap::new();
        for heard in kinds.values().filter(|heard| now.duration_since(heard.at) < SILENCE) {
            if let Some(channel) = &heard.channel {
                let sent_us = channels.entry(channel.clone()).or_insert(heard.sent_us);
                *sent_us = heard.sent_us.max(*sent_us);
            }
        }
        channels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(kind: &str) -> Message {
        let command = Message::new("commands", "T", "key".to_owned(), "effect".to_owned(), Vec::new());
        Message::new("replies", kind, "key".to_owned(), "effect:reply".to_owned(), Vec::new()).caused_by(&command)
    }

    #[test]
    fn the_first_reply_and_one_after_a_silence_are_news() {
        let (answers, begun) = (Answers::default(), Instant::now());
        let is_news = |after: Duration| answers.hear(&reply("Yes"), begun + after, i64::MAX).breaks_silence;

        assert!(is_news(Duration::ZERO));
        assert!(!is_news(Duration::from_secs(9)));
        assert!(is_news(Duration::from_secs(19)));
    }

    #[test]
    fn a_channel_is_as_far_as_the_latest_of_its_commands_that_is_answered() {
        let (answers, now) = (Answers::default(), Instant::now());
        assert!(answers.hear(&reply("Yes"), now, 100).is_of_unknown_channel);
        assert_eq!(answers.lately(now), HashMap::new());

        answers.come_from("Yes", "commands");
        assert!(!answers.hear(&reply("Yes"), now, 200).is_of_unknown_channel);
        answers.hear(&reply("No"), now, 300);
        answers.come_from("No", "commands");

        assert_eq!(answers.lately(now), HashMap::from([("commands".to_owned(), 300)]));
        assert_eq!(answers.lately(now + SILENCE), HashMap::new());
    }

    #[test]
    fn kinds_that_others_make_up_take_no_more_room_than_they_may() {
        let (answers, now) = (Answers::default(), Instant::now());
        for number in 0..KINDS_MAX + 10 {
            answers.hear(&reply(&number.to_string()), now, 0);
        }

        assert_eq!(answers.0.lock().unwrap().len(), KINDS_MAX);
    }
}
