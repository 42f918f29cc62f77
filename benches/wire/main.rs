//! The wire: frames a second that each codec of the gateway encodes and decodes, and the time from
//! a tick on the adapter's socket to the order on it, through quotes, a trivial decision and the
//! gate.
//!
//! Over a real socket on this machine. `DELTADESK_WIRE_ORDERS` (default 100) orders are measured.

mod codecs;
mod tick_to_order;

#[expect(clippy::disallowed_methods, reason = "how many is told by the environment")]
fn orders() -> usize {
    std::env::var("DELTADESK_WIRE_ORDERS").map_or(100, |text| text.parse().unwrap_or(100))
}

fn main() -> anyhow::Result<()> {
    let (mut latencies, frames) = tick_to_order::measure(orders())?;
    codecs::encode();
    codecs::decode(&frames)?;
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        latencies.get(place.min(latencies.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    };
    tell(&format!("tick to order, {} orders, milliseconds", latencies.len()));
    tell(&format!("  p50 {:.2}  p99 {:.2}  worst {:.2}", at(0.5), at(0.99), at(1.0)));
    tell("  a server looks every 50 ms for what is due, which comes on top");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a bench prints its figures")]
fn tell(line: &str) {
    println!("{line}");
}
