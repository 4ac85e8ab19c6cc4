//! Ready-made patterns.
//!
//! They come before the user's own, so `!` in front of a pattern of the user's takes something of them in again.

use super::patterns::Pattern;
use strongroom_model::Preset;

/// Caches: Filesystem Hierarchy Standard 3.0 §5.5, XDG Base Directory and Trash specifications, and where programs of wide
/// use keep what they fetch or compute again. Those that are marked with a CACHEDIR.TAG (cargo, pip, …) need no pattern.
const CACHES: &[&str] = &[
    "/var/cache/*",
    "/home/*/.cache/*",
    "/root/.cache/*",
    "**/.thumbnails/",
    // The trash of each user, and of each volume.
    "**/.local/share/Trash/",
    "**/.Trash-[0-9]*/",
    // Package managers.
    "/var/lib/apt/lists/*",
    "**/.npm/_cacache/",
    "**/.yarn/cache/",
    "**/.cargo/registry/cache/",
    "**/.cargo/registry/src/",
    "**/.cargo/git/checkouts/",
    "**/.gradle/caches/",
    "**/__pycache__/",
    // Browsers and programs made of one.
    "**/.mozilla/firefox/*/cache2/",
    "**/.mozilla/firefox/*/startupCache/",
    "**/.config/*/Cache/",
    "**/.config/*/Code Cache/",
    "**/.config/*/GPUCache/",
    "**/.config/*/*/Cache/",
    "**/.config/*/*/Code Cache/",
    "**/.config/*/*/GPUCache/",
    "**/.config/*/*/Service Worker/CacheStorage/",
    "**/.var/app/*/cache/",
    "**/snap/*/*/.cache/",
];

/// What belongs to the running system. File systems such as /proc are known by their type wherever they are mounted; here
/// they stand for the machine on which nothing is mounted there. The folders stay, without what is in them.
const SYSTEM: &[&str] = &[
    "/proc/*",
    "/sys/*",
    "/dev/*",
    "/run/*",
    "/var/run/*",
    "/var/lock/*",
    "/tmp/*",
    "/var/tmp/*",
    "/swapfile",
    "/swap.img",
    "/swap/*",
    "/var/swap",
    // Images of snaps, mounted from /var/lib/snapd/snaps.
    "/snap/*/*",
    // Layers of running containers, mounted from what lies beside them.
    "/var/lib/docker/overlay2/*/merged/*",
    "/var/lib/containers/storage/overlay/*/merged/*",
];

/// The patterns of a preset.
pub fn preset(preset: Preset) -> impl Iterator<Item = Pattern> {
    let (name, patterns) = match preset {
        Preset::Caches => ("the preset caches", CACHES),
        Preset::System => ("the preset system", SYSTEM),
    };
    patterns.iter().map(move |pattern| Pattern::new(*pattern, name))
}

#[cfg(test)]
mod tests {
    use super::super::patterns::Patterns;
    use super::preset;
    use strongroom_model::Preset;

    #[test]
    fn presets_leave_out_what_they_should_and_nothing_else() {
        let out = |which: Preset, path: &str, below: usize, is_directory: bool| {
            let patterns = Patterns::new(preset(which)).unwrap();
            let fit = patterns.last_fit(path.as_bytes(), below, is_directory);
            fit.is_some_and(|fit| !fit.is_negated)
        };
        use Preset::{Caches, System};
        for (which, path, is_directory, expected) in [
            (Caches, "home/ann/.cache/x", false, true),
            (Caches, "home/ann/.cache", true, false),
            (Caches, "home/ann/cache/x", false, false),
            (Caches, "home/ann/.local/share/Trash", true, true),
            (Caches, "home/ann/.config/Code/Cache", true, true),
            (Caches, "home/ann/.config/Cache", true, false),
            (Caches, "home/ann/.mozilla/firefox/ab.default/cache2", true, true),
            (
                Caches,
                "home/ann/.mozilla/firefox/ab.default/places.sqlite",
                false,
                false,
            ),
            (Caches, "var/cache/apt", true, true),
            (Caches, "srv/var/cache", true, false),
            (System, "proc/1", true, true),
            (System, "proc", true, false),
            (System, "run/lock", true, true),
            (System, "srv/run/x", false, false),
            (System, "swapfile", false, true),
            (System, "var/tmp/x", false, true),
            (System, "var/lib/x", false, false),
        ] {
            assert_eq!(out(which, path, 0, is_directory), expected, "{which} and {path}");
        }
        // Below a home folder, too.
        assert!(out(Caches, "home/ann/.local/share/Trash", 9, true));
        assert!(out(Caches, "home/ann/.npm/_cacache", 9, true));
        assert!(out(Caches, "home/ann/.cache/x", 9, false));
    }
}
