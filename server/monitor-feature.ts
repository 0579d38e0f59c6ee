/** In its `qSupported` a monitor client says by this that it is no debugger and wants no machine. */
export const MONITOR_FEATURE = 'exoscope-monitor+';
