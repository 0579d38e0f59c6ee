/** Registers and bits of the 16550A, as its datasheet names them (PC16550D §8, table II). */

/** Register offsets; RBR, THR and IER give way to the divisor latch while LCR.DLAB is set. */
export const RBR_THR_DLL = 0;
export const IER_DLM = 1;
export const IIR_FCR = 2;
export const LCR = 3;
export const MCR = 4;
export const LSR = 5;
export const MSR = 6;
export const SCR = 7;

export const IER_ERBFI = 0x01;
export const IER_ETBEI = 0x02;
export const IER_ELSI = 0x04;
export const IER_EDSSI = 0x08;
export const IER_DEFINED = 0x0f;

export const IIR_NONE = 0x01;
export const IIR_LINE_STATUS = 0x06;
export const IIR_DATA_AVAILABLE = 0x04;
export const IIR_CHARACTER_TIMEOUT = 0x0c;
export const IIR_THR_EMPTY = 0x02;
export const IIR_MODEM_STATUS = 0x00;
export const IIR_FIFOS_ENABLED = 0xc0;

export const FCR_ENABLE = 0x01;
export const FCR_RESET_RECEIVER = 0x02;
export const FCR_STORED = 0xc9;
export const FIFO_BYTES = 16;
/** Bytes that raise the data-available interrupt, by FCR bits 7–6. */
export const TRIGGER_LEVELS = [1, 4, 8, 14] as const;

export const LCR_WORD_LENGTH = 0x03;
export const LCR_STOP_BITS = 0x04;
export const LCR_PARITY = 0x08;
export const LCR_BREAK = 0x40;
export const LCR_DLAB = 0x80;

export const MCR_DTR = 0x01;
export const MCR_RTS = 0x02;
export const MCR_OUT1 = 0x04;
export const MCR_OUT2 = 0x08;
export const MCR_LOOP = 0x10;
export const MCR_DEFINED = 0x1f;

export const LSR_DR = 0x01;
export const LSR_OE = 0x02;
export const LSR_BI = 0x10;
export const LSR_THRE = 0x20;
export const LSR_TEMT = 0x40;
export const LSR_FIFO_ERROR = 0x80;

export const MSR_CTS = 0x10;
export const MSR_DSR = 0x20;
export const MSR_RI = 0x40;
export const MSR_DCD = 0x80;
/** A terminal is at the other end and ready. */
export const MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD;
