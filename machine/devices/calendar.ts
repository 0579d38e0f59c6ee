/**
 * Seconds since 1970 to the Gregorian calendar and back, without the host's Date. The year is taken
 * to begin in March, so that the leap day is its last; 146097 days make 400 years.
 */
export interface CalendarTime {
  readonly year: number;
  /** 1–12. */
  readonly month: number;
  /** 1–31. */
  readonly day: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
}

const DAYS_PER_ERA = 146_097;
const DAYS_BEFORE_1970 = 719_468;
const SECONDS_PER_DAY = 86_400;

export function toCalendar(secondsSince1970: bigint): CalendarTime {
  const seconds = Number(secondsSince1970);
  const days = Math.floor(seconds / SECONDS_PER_DAY);
  const ofDay = seconds - days * SECONDS_PER_DAY;
  return {
    ...toDate(days),
    hour: Math.floor(ofDay / 3600),
    minute: Math.floor(ofDay / 60) % 60,
    second: ofDay % 60,
  };
}

/** Fields outside their range carry over, as 31 April is 1 May. */
export function fromCalendar(time: CalendarTime): bigint {
  const yearFromMarch = time.month <= 2 ? time.year - 1 : time.year;
  const era = Math.floor(yearFromMarch / 400);
  const yearOfEra = yearFromMarch - era * 400;
  const monthFromMarch = (time.month + 9) % 12;
  const dayOfYear = Math.floor((153 * monthFromMarch + 2) / 5) + time.day - 1;
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  const days = era * DAYS_PER_ERA + yearOfEra * 365 + leapDays + dayOfYear - DAYS_BEFORE_1970;
  const ofDay = time.hour * 3600 + time.minute * 60 + time.second;
  return BigInt(days * SECONDS_PER_DAY + ofDay);
}

/** 0 for Sunday to 6. */
export function dayOfWeek(secondsSince1970: bigint): number {
  const days = Math.floor(Number(secondsSince1970) / SECONDS_PER_DAY);
  return (((days + 4) % 7) + 7) % 7;
}

function toDate(daysSince1970: number): { year: number; month: number; day: number } {
  const days = daysSince1970 + DAYS_BEFORE_1970;
  const era = Math.floor(days / DAYS_PER_ERA);
  const dayOfEra = days - era * DAYS_PER_ERA;
  const leapCorrection =
    Math.floor(dayOfEra / 1460) - Math.floor(dayOfEra / 36_524) + Math.floor(dayOfEra / 146_096);
  const yearOfEra = Math.floor((dayOfEra - leapCorrection) / 365);
  const leapDays = Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100);
  const dayOfYear = dayOfEra - (365 * yearOfEra + leapDays);
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const day = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day };
}
