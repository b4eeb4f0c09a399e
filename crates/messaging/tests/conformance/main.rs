//! What every bus does, whichever is behind it: one suite for all adapters.

#![expect(clippy::unwrap_used, reason = "in a test a failure is a panic")]

mod catching_up;
mod coming_again;
mod keeping;
mod place;
mod publishing;
mod together;

use place::{Directory, Prefix};

/// Expands to one test per behaviour; a further adapter is one further line.
macro_rules! conformance {
    ($adapter:ident => $place:expr) => {
        conformance! { $adapter => $place;
            publishing::all_fields_of_a_message_survive,
            publishing::a_message_is_delivered_to_each_consumer_of_its_channel,
            publishing::order_holds_within_a_key,
            publishing::order_holds_within_each_key_of_a_batch,
            publishing::a_repeated_id_is_stored_once_while_it_is_kept,
            publishing::publishing_nothing_is_allowed,
            publishing::a_message_for_an_unknown_channel_stops_its_batch,
            publishing::an_unknown_channel_or_consumer_is_an_error,
            coming_again::a_consumer_has_one_subscription_at_a_time,
            coming_again::a_dropped_delivery_comes_again_before_what_is_younger,
            coming_again::a_new_subscription_delivers_what_was_not_acknowledged,
            coming_again::a_reopened_bus_delivers_what_was_not_acknowledged,
            coming_again::an_acknowledged_message_does_not_come_again_after_reopening,
            coming_again::a_gap_in_the_acknowledgements_comes_again_after_reopening,
            coming_again::a_message_held_by_a_handler_outlives_its_subscription,
            coming_again::a_held_message_that_is_dropped_comes_to_the_new_subscription,
            coming_again::a_rewound_consumer_gets_everything_that_is_kept_again,
            coming_again::a_consumer_that_is_rewound_while_it_is_subscribed_gets_everything_in_order,
            keeping::messages_are_kept_for_a_consumer_that_has_not_run_yet,
            keeping::a_consumer_that_was_away_gets_everything_in_order,
            keeping::the_backlog_is_what_is_not_acknowledged,
            keeping::a_new_consumer_learns_the_last_message_of_each_key,
            keeping::a_consumer_that_has_the_last_message_gets_only_what_is_newer,
            keeping::what_is_for_subscribers_goes_to_the_named_consumers_too,
            keeping::in_one_life_the_number_of_the_newest_message_never_goes_back,
            keeping::a_bus_that_lost_everything_begins_another_life,
            catching_up::a_subscription_that_has_nothing_to_do_is_caught_up,
            catching_up::a_subscription_is_caught_up_when_the_old_messages_are_acknowledged,
            catching_up::a_message_of_an_earlier_subscription_counts_for_being_caught_up,
            together::a_waiting_subscription_is_woken,
            together::a_large_backlog_flows_though_it_is_acknowledged_out_of_order,
            together::many_acknowledgements_in_one_turn_all_count,
            together::next_can_be_dropped_at_any_time,
            together::what_a_dropped_next_was_about_to_read_is_not_lost,
            together::a_dropped_publish_can_be_done_again,
            together::consumers_and_publishers_may_all_run_at_once,
        }
    };
    ($adapter:ident => $place:expr; $($subject:ident::$behaviour:ident,)+) => {
        mod $adapter {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    if let Some(place) = $place {
                        super::$subject::$behaviour(place).await;
                    }
                }
            )+
        }
    };
}

conformance!(embedded => Directory::new());
conformance!(jetstream => Prefix::new().await);
