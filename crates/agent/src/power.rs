//! Whether the machine runs on battery, by what the kernel says of its power supplies.

use std::fs;
use std::path::Path;

/// Where the kernel says it (Documentation/ABI/testing/sysfs-class-power).
const POWER_SUPPLIES: &str = "/sys/class/power_supply";

/// Whether this machine runs on battery just now.
pub fn is_on_battery() -> bool {
    is_on_battery_by(Path::new(POWER_SUPPLIES))
}

/// A battery that discharges, and no other supply that is online. Batteries of mice and such do not count; a machine of
/// which nothing is said has mains.
fn is_on_battery_by(supplies: &Path) -> bool {
    let mut discharges = false;
    for supply in fs::read_dir(supplies).into_iter().flatten().flatten() {
        let says = |name: &str| fs::read_to_string(supply.path().join(name)).unwrap_or_default();
        let [kind, scope, online, status] = ["type", "scope", "online", "status"].map(says);
        match kind.trim() {
            _ if scope.trim() == "Device" => {}
            "Battery" => discharges |= status.trim() == "Discharging",
            "UPS" => {}
            _ if online.trim() != "0" && !online.is_empty() => return false,
            _ => {}
        }
    }
    discharges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supplies_tell() {
        let mains = |online| ("AC", vec![("type", "Mains"), ("online", online)]);
        let usb = |online| ("usb", vec![("type", "USB"), ("online", online)]);
        let battery = |status| ("BAT0", vec![("type", "Battery"), ("status", status), ("present", "1")]);
        let mouse = (
            "mouse",
            vec![("type", "Battery"), ("scope", "Device"), ("status", "Discharging")],
        );
        for (supplies, expected) in [
            (vec![], false),
            (vec![mains("1")], false),
            (vec![mains("1"), battery("Charging")], false),
            (vec![mains("1"), battery("Discharging")], false),
            (vec![mains("0"), battery("Discharging")], true),
            (vec![mains("0"), usb("1"), battery("Discharging")], false),
            (vec![usb("0"), battery("Discharging")], true),
            (vec![battery("Discharging")], true),
            (vec![battery("Full")], false),
            (vec![battery("Unknown")], false),
            (vec![mouse.clone()], false),
            (vec![mouse, mains("0"), battery("Discharging")], true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            for (name, files) in &supplies {
                fs::create_dir(folder.path().join(name)).unwrap();
                for (file, text) in files {
                    fs::write(folder.path().join(name).join(file), format!("{text}\n")).unwrap();
                }
            }
            assert_eq!(is_on_battery_by(folder.path()), expected, "{supplies:?}");
        }
        assert!(!is_on_battery_by(Path::new("/does/not/exist")));
    }
}
