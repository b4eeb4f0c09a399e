//! Stories of members that vanish.

use super::*;
use std::net::SocketAddr;

const HOLD_DOWN: Duration = Duration::from_secs(30);
const UNPROVEN_MAX: Duration = Duration::from_secs(120);

struct Story {
    view: View,
    now: Instant,
}

fn named(number: u16, state: State) -> Member {
    Member { endpoint: Endpoint::at(SocketAddr::from(([10, 0, 0, 1], number))), state }
}

fn all(numbers: &[u16], state: State) -> Vec<Member> {
    numbers.iter().map(|number| named(*number, state)).collect()
}

impl Story {
    /// Members that have been up.
    fn of(numbers: &[u16]) -> Self {
        let rules = Rules { shrink_percent_max: 50, hold_down: HOLD_DOWN, unproven_max: UNPROVEN_MAX };
        let mut story = Story { view: View::new(rules), now: Instant::now() };
        story.then(all(numbers, State::Up));
        story
    }

    fn then(&mut self, members: Vec<Member>) -> Seen {
        self.view.absorb(members, self.now)
    }

    #[track_caller]
    fn check(&mut self, members: Vec<Member>, up: &[u16], unknown: &[u16]) {
        let seen = self.then(members);
        let with = |standing: Standing| -> Vec<u16> {
            seen.endpoints.iter().filter(|it| it.standing == standing).map(|it| it.address.port()).collect()
        };
        assert_eq!((with(Standing::Up), with(Standing::Unknown)), (up.to_vec(), unknown.to_vec()));
    }
}

#[test]
fn a_single_deregistration_counts_at_once() {
    Story::of(&[1, 2, 3]).check(all(&[1, 2], State::Up), &[1, 2], &[]);
    Story::of(&[1, 2]).check(all(&[1], State::Up), &[1], &[]);
}

#[test]
fn a_shrink_by_more_than_half_is_held_down() {
    Story::of(&[1, 2, 3]).check(all(&[1], State::Up), &[1], &[2, 3]);
}

#[test]
fn an_empty_list_is_held_down_and_believed_in_the_end() {
    let mut story = Story::of(&[1, 2, 3]);

    story.check(Vec::new(), &[], &[1, 2, 3]);
    story.now += HOLD_DOWN - Duration::from_millis(1);
    story.check(Vec::new(), &[], &[1, 2, 3]);
    assert_eq!(story.view.next_expiry(), Some(story.now + Duration::from_millis(1)));
    story.now += Duration::from_millis(1);
    story.check(Vec::new(), &[], &[]);
    assert_eq!(story.view.next_expiry(), None);
}

#[test]
fn a_member_that_was_held_back_is_up_again_when_it_is_back() {
    let mut story = Story::of(&[1, 2, 3]);
    story.then(Vec::new());

    story.check(all(&[1, 3], State::Up), &[1, 3], &[2]);
}

#[test]
fn maintenance_counts_at_once_even_for_all_of_them() {
    Story::of(&[1, 2]).check(all(&[1, 2], State::Maintenance), &[], &[]);

    let mut story = Story::of(&[1, 2]);
    story.then(Vec::new());
    story.check(all(&[1], State::Maintenance), &[], &[2]);
}

#[test]
fn failures_of_most_members_at_once_are_held_down_too() {
    Story::of(&[1, 2, 3]).check([all(&[1], State::Up), all(&[2, 3], State::Down)].concat(), &[1], &[2, 3]);
    Story::of(&[1, 2, 3]).check([all(&[1, 2], State::Up), all(&[3], State::Down)].concat(), &[1, 2], &[]);
}

#[test]
fn a_check_that_has_not_run_demotes_a_member_that_was_up() {
    let mut story = Story::of(&[1, 2, 3]);

    story.check(all(&[1, 2, 3], State::Unproven), &[], &[1, 2, 3]);
    story.check([all(&[1], State::Up), all(&[2, 3], State::Unproven)].concat(), &[1], &[2, 3]);
    story.check(all(&[1, 2, 3], State::Up), &[1, 2, 3], &[]);
}

#[test]
fn a_newcomer_has_to_prove_itself_first() {
    Story::of(&[1]).check([all(&[1], State::Up), all(&[2], State::Unproven)].concat(), &[1], &[]);
}

#[test]
fn a_check_that_has_run_and_failed_ends_the_doubt() {
    let mut story = Story::of(&[1, 2, 3]);
    story.then(all(&[1, 2, 3], State::Unproven));

    story.check([all(&[1, 2], State::Up), all(&[3], State::Down)].concat(), &[1, 2], &[]);
}

#[test]
fn a_check_that_never_runs_ends_in_the_end() {
    let mut story = Story::of(&[1]);
    story.then(all(&[1], State::Unproven));
    story.now += UNPROVEN_MAX;

    story.check(all(&[1], State::Unproven), &[], &[]);
}

#[test]
fn what_is_held_back_does_not_keep_others_from_leaving() {
    let mut story = Story::of(&[1, 2, 3, 4, 5, 6, 7]);
    story.check(all(&[1, 2, 3], State::Up), &[1, 2, 3], &[4, 5, 6, 7]);

    story.check(all(&[1, 2], State::Up), &[1, 2], &[4, 5, 6, 7]);
}

#[test]
fn a_list_from_disk_is_held_down_like_one_that_was_seen() {
    let mut story = Story::of(&[]);
    story.view.restore(&[Endpoint::at(SocketAddr::from(([10, 0, 0, 1], 1)))]);

    story.check(Vec::new(), &[], &[1]);
}

#[test]
fn members_held_back_are_counted_once() {
    let mut story = Story::of(&[1, 2, 3]);

    assert_eq!(story.then(Vec::new()).held_back, 3);
    assert_eq!(story.then(Vec::new()).held_back, 0);
}
