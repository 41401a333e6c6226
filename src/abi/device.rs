//! Device numbers and the three ways the kernel writes them down.

/// A device number as major and minor (`dev_t` inside the kernel: 12 and 20 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl DeviceNumber {
    /// Reads the 32-bit form, which mknod(2) takes on every ABI (`new_decode_dev`, linux/kdev_t.h).
    pub const fn decode(dev: u32) -> DeviceNumber {
        DeviceNumber { major: (dev & 0xFFF00) >> 8, minor: (dev & 0xFF) | ((dev >> 12) & 0xFFF00) }
    }

    /// The 32-bit form, which every stat but the oldest reports (`new_encode_dev`).
    pub const fn encode(self) -> u32 {
        (self.minor & 0xFF) | (self.major << 8) | ((self.minor & !0xFF) << 12)
    }

    /// The 16-bit form of the oldest stat (`old_encode_dev`); what does not fit is cut off.
    pub const fn encode_old(self) -> u16 {
        ((self.major << 8) | self.minor) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_number_survives_its_32_bit_form() {
        for (major, minor, code) in
            [(1, 3, 0x103), (8, 0, 0x800), (259, 3, 0x10303), (4095, 0xF_FFFF, u32::MAX)]
        {
            let device = DeviceNumber { major, minor };
            assert_eq!(device.encode(), code);
            assert_eq!(DeviceNumber::decode(code), device);
        }
    }

    #[test]
    fn the_16_bit_form_keeps_eight_bits_of_each() {
        assert_eq!(DeviceNumber { major: 5, minor: 1 }.encode_old(), 0x501);
        assert_eq!(DeviceNumber { major: 0x105, minor: 1 }.encode_old(), 0x501);
    }
}
