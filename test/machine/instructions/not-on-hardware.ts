/**
 * Instructions whose effect a user process on Linux cannot show: the host answers with values of its
 * own, its kernel steps in, or they would really be executed. Their vectors are written by hand from
 * the manual (manual/). What is privileged is not here: at CPL 3 it is #GP(0), which is a vector,
 * and manual/ has what it does at CPL 0.
 */
export const NOT_ON_HARDWARE: ReadonlyMap<string, string> = new Map([
  ['syscall', 'would call Linux'],
  ['sysenter', 'would call Linux'],
  ['int1', 'hypervisors intercept it'],
  ['cpuid', 'answers for the host'],
  ['rdtsc', 'reads the host’s clock'],
  ['rdtscp', 'reads the host’s clock'],
  ['rdpid', 'answers for the host'],
  ['rdpmc', 'answers for the host'],
  ['xgetbv', 'answers for the host'],
  ['sgdt', 'Linux answers it by UMIP'],
  ['sidt', 'Linux answers it by UMIP'],
  ['sldt', 'Linux answers it by UMIP'],
  ['str', 'Linux answers it by UMIP'],
  ['smsw', 'Linux answers it by UMIP'],
  ['rdrand', 'random'],
  ['rdseed', 'random'],
]);
