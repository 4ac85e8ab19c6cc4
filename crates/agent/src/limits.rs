//! How much of the line the machine takes: by its settings, which may change while it works, or as one run is told.

use strongroom_api::Pace;
use strongroom_model::{Clock, Limit, Limits};

use crate::settings_sync::SettingsCopy;
use crate::state::StateFolder;

/// Limits of one run; where nothing is said, those of the settings hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLimits {
    /// To the service.
    pub upload: Option<Limit>,
    /// From the service.
    pub download: Option<Limit>,
}

impl RunLimits {
    /// The pace of a run. It follows the settings and the hours while it lasts.
    pub(crate) fn pace(self, folder: StateFolder, clock: Clock) -> Pace {
        Pace::new(move || {
            let settings = folder.settings().unwrap_or_else(|error| {
                tracing::warn!(%error, "nothing limits how fast this machine sends and receives");
                None
            });
            self.over(of_settings(settings, &clock))
        })
    }

    fn over(self, limits: Limits) -> Limits {
        Limits {
            upload: self.upload.unwrap_or(limits.upload),
            download: self.download.unwrap_or(limits.download),
        }
    }
}

fn of_settings(settings: Option<SettingsCopy>, clock: &Clock) -> Limits {
    let throttle = settings.and_then(|copy| copy.settings.throttle);
    throttle.map_or(Limits::default(), |throttle| throttle.limits(clock.now()))
}
