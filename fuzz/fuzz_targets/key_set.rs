//! A key set object. JSON has many forms of one object, so what is compared is the object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_format::keyset::KeySetObject;

fuzz_target!(|data: &[u8]| {
    if let Ok(object) = KeySetObject::decode(data) {
        let again = KeySetObject::decode(&object.encode()).expect("what was written can be read");
        assert_eq!(again, object);
    }
});
