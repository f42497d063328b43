//! Natural numbers of any size, with just what it takes to read and show long doubles.

use std::{
    cmp::Ordering,
    fmt::{self, Write},
};

/// Bits of a limb.
const LIMB: u32 = 32;
/// The largest power of ten in a limb, and its digits.
const CHUNK: (u32, usize) = (1_000_000_000, 9);

/// Limbs, the lowest first; the highest is not 0.
#[derive(Clone, Debug)]
pub(super) struct Natural(Vec<u32>);

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        let mut number = Self(vec![value as u32, (value >> LIMB) as u32]);
        number.trim();
        number
    }
}

impl Natural {
    /// From decimal digits.
    pub fn from_digits(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        for digit in digits {
            number.multiply_and_add(10, u32::from(digit - b'0'));
        }
        number
    }

    pub fn multiply_by_power_of_ten(&mut self, power: u64) {
        for _ in 0..power / CHUNK.1 as u64 {
            self.multiply_and_add(CHUNK.0, 0);
        }
        self.multiply_and_add(10_u32.pow((power % CHUNK.1 as u64) as u32), 0);
    }

    fn multiply_and_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.0 {
            let product = u64::from(*limb) * u64::from(factor) + carry;
            *limb = product as u32;
            carry = product >> LIMB;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// How many bits it has.
    pub fn bits(&self) -> u32 {
        self.0.last().map_or(0, |highest| self.0.len() as u32 * LIMB - highest.leading_zeros())
    }

    pub fn shift_left(&mut self, bits: u32) {
        self.multiply_and_add(1 << (bits % LIMB), 0);
        if !self.0.is_empty() {
            self.0.splice(0..0, std::iter::repeat_n(0, (bits / LIMB) as usize));
        }
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.0.iter_mut().rev() {
            (*limb, carry) = (*limb >> 1 | carry, *limb << (LIMB - 1));
        }
        self.trim();
    }

    /// Subtracts `other` if it is not larger.
    fn subtract(&mut self, other: &Self) -> bool {
        let by_size = self.0.len().cmp(&other.0.len());
        if by_size.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())) == Ordering::Less {
            return false;
        }
        let mut borrow = false;
        for (index, limb) in self.0.iter_mut().enumerate() {
            let (less, one) = limb.overflowing_sub(other.0.get(index).copied().unwrap_or(0));
            let (less, two) = less.overflowing_sub(borrow.into());
            (*limb, borrow) = (less, one || two);
        }
        self.trim();
        true
    }

    /// The quotient, which must have fewer than 128 bits, and whether there is a rest.
    pub fn divide(mut self, mut divisor: Self) -> (u128, bool) {
        let steps = (self.bits() + 1).saturating_sub(divisor.bits());
        divisor.shift_left(steps);
        let mut quotient = 0;
        for _ in 0..=steps {
            quotient = quotient << 1 | u128::from(self.subtract(&divisor));
            divisor.halve();
        }
        (quotient, !self.0.is_empty())
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }
}

impl fmt::Display for Natural {
    /// In decimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.clone();
        let mut chunks = Vec::new();
        while !rest.0.is_empty() {
            let mut carry = 0_u64;
            for limb in rest.0.iter_mut().rev() {
                let value = carry << LIMB | u64::from(*limb);
                *limb = (value / u64::from(CHUNK.0)) as u32;
                carry = value % u64::from(CHUNK.0);
            }
            rest.trim();
            chunks.push(carry);
        }
        let Some(first) = chunks.pop() else { return f.write_char('0') };
        write!(f, "{first}")?;
        chunks.into_iter().rev().try_for_each(|chunk| write!(f, "{chunk:0width$}", width = CHUNK.1))
    }
}
