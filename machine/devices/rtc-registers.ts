/**
 * How the RTC shows time in its registers: BCD or binary, 24 or 12 hours, as register B says
 * (Motorola MC146818 datasheet, "Time, Calendar, and Alarm Locations").
 */
import type { CalendarTime } from './calendar.ts';

export const SECONDS = 0x00;
export const SECONDS_ALARM = 0x01;
export const MINUTES = 0x02;
export const MINUTES_ALARM = 0x03;
export const HOURS = 0x04;
export const HOURS_ALARM = 0x05;
export const DAY_OF_WEEK = 0x06;
export const DAY_OF_MONTH = 0x07;
export const MONTH = 0x08;
export const YEAR = 0x09;
export const REGISTER_A = 0x0a;
export const REGISTER_B = 0x0b;
export const REGISTER_C = 0x0c;
export const REGISTER_D = 0x0d;
export const CENTURY = 0x32;
/** Where the PS/2 keeps the century; QEMU and some kernels know it. */
export const PS2_CENTURY = 0x37;

export const A_UIP = 0x80;
export const A_RATE = 0x0f;
export const B_SET = 0x80;
export const B_ENABLES = 0x70;
export const B_DM_BINARY = 0x04;
export const B_24_HOUR = 0x02;
export const C_IRQF = 0x80;
export const C_PF = 0x40;
export const C_AF = 0x20;
export const C_UF = 0x10;
export const D_VRT = 0x80;
export const HOURS_PM = 0x80;
/** An alarm byte with both top bits set matches every value. */
export const ALARM_ANY = 0xc0;

/** A number 0–99 as a register shows it. */
export function encode(value: number, registerB: number): number {
  if ((registerB & B_DM_BINARY) !== 0) return value & 0xff;
  return ((Math.floor(value / 10) % 10) << 4) | (value % 10);
}

/** The number in a register; bytes that are no BCD give what their digits add up to. */
export function decode(byte: number, registerB: number): number {
  return (registerB & B_DM_BINARY) !== 0 ? byte : (byte >> 4) * 10 + (byte & 15);
}

/** An hour 0–23; with 12 hours bit 7 is PM. */
export function encodeHour(hour: number, registerB: number): number {
  if ((registerB & B_24_HOUR) !== 0) return encode(hour, registerB);
  return encode(hour % 12 === 0 ? 12 : hour % 12, registerB) | (hour >= 12 ? HOURS_PM : 0);
}

export function decodeHour(byte: number, registerB: number): number {
  if ((registerB & B_24_HOUR) !== 0) return decode(byte, registerB);
  return (decode(byte & ~HOURS_PM, registerB) % 12) + ((byte & HOURS_PM) !== 0 ? 12 : 0);
}

/** The register that shows part of `time`; undefined for any other index. */
export function timeRegister(
  time: CalendarTime,
  index: number,
  registerB: number,
): number | undefined {
  switch (index) {
    case SECONDS:
      return encode(time.second, registerB);
    case MINUTES:
      return encode(time.minute, registerB);
    case HOURS:
      return encodeHour(time.hour, registerB);
    case DAY_OF_MONTH:
      return encode(time.day, registerB);
    case MONTH:
      return encode(time.month, registerB);
    case YEAR:
      return encode(time.year % 100, registerB);
    case CENTURY:
    case PS2_CENTURY:
      return encode(Math.floor(time.year / 100), registerB);
    default:
      return undefined;
  }
}

/** `time` with the field of one time register replaced by what the guest wrote into it. */
export function withRegister(
  time: CalendarTime,
  index: number,
  byte: number,
  registerB: number,
): CalendarTime {
  const value = index === HOURS ? decodeHour(byte, registerB) : decode(byte, registerB);
  switch (index) {
    case SECONDS:
      return { ...time, second: value };
    case MINUTES:
      return { ...time, minute: value };
    case HOURS:
      return { ...time, hour: value };
    case DAY_OF_MONTH:
      return { ...time, day: value };
    case MONTH:
      return { ...time, month: value };
    case YEAR:
      return { ...time, year: time.year - (time.year % 100) + value };
    default:
      return { ...time, year: value * 100 + (time.year % 100) };
  }
}
