//! The cost of turning a passphrase into a key.

/// Least memory in KiB: below it, guessing passphrases gets cheap.
const MEMORY_KIB_MIN: u32 = 19 * 1024;
/// Most memory in KiB: 1 GiB.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
/// Most passes over that memory.
const PASSES_MAX: u32 = 16;
/// Most lanes.
const LANES_MAX: u32 = 16;

/// Cost of Argon2id (RFC 9106), always within bounds.
///
/// The parameters come back from the vault, which may lie. Too low a cost would let it guess passphrases cheaply from
/// a key set that a machine made with them; too high a cost would exhaust the machine. So both ends are bounded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Why a cost is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The key derivation's {parameter} of {value} is refused: it must lie between {min} and {max}.")]
pub struct KdfParamsError {
    /// Which parameter.
    pub parameter: &'static str,
    /// What was asked for.
    pub value: u32,
    /// Least allowed value.
    pub min: u32,
    /// Greatest allowed value.
    pub max: u32,
}

impl KdfParams {
    /// Checks the cost: memory in KiB (19 MiB to 1 GiB), passes over it (1 to 16), lanes (1 to 16).
    ///
    /// # Errors
    /// [`KdfParamsError`] names the parameter that is out of bounds.
    pub const fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<KdfParams, KdfParamsError> {
        if let Err(error) = check("memory in KiB", memory_kib, MEMORY_KIB_MIN, MEMORY_KIB_MAX) {
            return Err(error);
        }
        if let Err(error) = check("number of passes", passes, 1, PASSES_MAX) {
            return Err(error);
        }
        if let Err(error) = check("number of lanes", lanes, 1, LANES_MAX) {
            return Err(error);
        }
        Ok(KdfParams {
            memory_kib,
            passes,
            lanes,
        })
    }

    /// Memory in KiB.
    pub const fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    /// Passes over the memory.
    pub const fn passes(&self) -> u32 {
        self.passes
    }

    /// Lanes. They are computed one after the other, so more lanes cost an honest client no less.
    pub const fn lanes(&self) -> u32 {
        self.lanes
    }
}

impl Default for KdfParams {
    /// 64 MiB, 3 passes, 1 lane: RFC 9106's second recommendation, with the lanes that we compute in parallel (one).
    fn default() -> KdfParams {
        KdfParams {
            memory_kib: 64 * 1024,
            passes: 3,
            lanes: 1,
        }
    }
}

const fn check(parameter: &'static str, value: u32, min: u32, max: u32) -> Result<(), KdfParamsError> {
    if value < min || value > max {
        return Err(KdfParamsError {
            parameter,
            value,
            min,
            max,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_at_their_edges() {
        let cases = [
            ((19 * 1024, 1, 1), None),
            ((1024 * 1024, 16, 16), None),
            ((19 * 1024 - 1, 3, 1), Some("memory in KiB")),
            ((1024 * 1024 + 1, 3, 1), Some("memory in KiB")),
            ((65536, 0, 1), Some("number of passes")),
            ((65536, 17, 1), Some("number of passes")),
            ((65536, 3, 0), Some("number of lanes")),
            ((65536, 3, 17), Some("number of lanes")),
            ((u32::MAX, u32::MAX, u32::MAX), Some("memory in KiB")),
        ];
        for ((memory_kib, passes, lanes), refused) in cases {
            let parameter = KdfParams::new(memory_kib, passes, lanes).err().map(|e| e.parameter);
            assert_eq!(parameter, refused, "{memory_kib} {passes} {lanes}");
        }
    }

    #[test]
    fn default_is_within_bounds() {
        let default = KdfParams::default();
        let checked = KdfParams::new(default.memory_kib(), default.passes(), default.lanes());
        assert_eq!(checked, Ok(default));
    }
}
