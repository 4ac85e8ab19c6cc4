//! The opened body of a recovery point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::point::PointBody;

fuzz_target!(|data: &[u8]| {
    if let Ok(body) = PointBody::decode(data) {
        assert_eq!(body.encode(), data);
    }
});
