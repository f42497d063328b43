//! `tradewind list`.

use scenarios::ALL;

use crate::say;

pub fn list() {
    let width = ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    for scenario in ALL {
        let tier = scenario.tier.map_or_else(|| "      ".to_string(), |tier| format!("tier {tier}"));
        let category = format!("{:?}", scenario.category).to_lowercase();
        let impact = format!("{:?}", scenario.impact).to_lowercase();
        say!(
            "{:width$}  {tier}  {category:8}  {impact:8}  {:3} seeds  {}",
            scenario.name,
            scenario.cost.seeds(),
            scenario.summary
        );
    }
}
