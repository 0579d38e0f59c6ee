/**
 * Error numbers of replies and the error that carries one. The numbers are those of GDB's File-I/O
 * protocol (GDB manual, "Errno Values"), which both clients print by name in `vFile` replies and as
 * a bare number elsewhere.
 */
export const ERRNO = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  E2BIG: 7,
  EBADF: 9,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EINVAL: 22,
  EMFILE: 24,
} as const;
export type Errno = (typeof ERRNO)[keyof typeof ERRNO];

/**
 * A request that cannot be fulfilled: it becomes an error reply and the session lives. The message
 * reaches the user where the client understands text.
 */
export class RemoteError extends Error {
  override readonly name = 'RemoteError';
  readonly errno: Errno;

  constructor(errno: Errno, message: string) {
    super(message);
    this.errno = errno;
  }
}
