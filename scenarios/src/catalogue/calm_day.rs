//! SCENARIO      A trading session without faults.
//! EXPECTED      Every fill is in the ledger within 2 s, the equity adds up to 1e-8, nothing alarming is reported.
//! FAILURE MODE  A fill is forgotten, booked twice, or booked wrongly while everything looks healthy.
//! SOURCE        ours

use sim::{Checks, Draw, Plan, World, mins, secs};

use crate::{
    desk,
    oracles::{every_fill_booked_within, no_alert_after, standing},
    scenario::{Category, Cost, Impact, Scenario, scenario},
};

pub const SCENARIO: Scenario = scenario("calm_day", "a trading session without faults")
    .about(Category::Trading, Impact::Critical)
    .cost(Cost::Ordinary)
    .steps(setup, inject, verify)
    .lasting(mins(30), secs(2))
    .long(mins(24 * 60));

fn setup(world: &mut World) {
    desk::full(world);
}

fn inject(_: &mut Plan, _: &mut Draw) {}

fn verify(check: &mut Checks) {
    standing(check);
    check.always(every_fill_booked_within(secs(2)));
    check.always(no_alert_after(secs(5)));
    check.reached("signal.issued");
    check.reached("order.filled");
}
