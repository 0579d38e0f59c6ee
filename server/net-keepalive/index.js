/**
 * Stands in for net-keepalive 0.4.1, which node-net-reconnect requires and whose `ffi` addon does not
 * compile on present versions of Node. Node cannot set the interval and the number of probes of TCP
 * keep-alive without native code: they stay at the system's values. Keep-alive itself is switched on
 * by node-net-reconnect, with socket.setKeepAlive.
 */
/* global module */
'use strict';

/** False, as net-keepalive answers where the system refuses the option. */
function unchanged() {
  return false;
}

module.exports = { setKeepAliveInterval: unchanged, setKeepAliveProbes: unchanged };
