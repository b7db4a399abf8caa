"""`python3 -m edge_res.doctor`: `edgeres doctor` in a clone, before anything is installed."""

from __future__ import annotations

import sys

from edge_res.doctor.examine import examine


def main() -> int:
    problems = 0
    for finding in examine():
        sys.stdout.write(f"{finding.severity:8} {finding.what}: {finding.sentence}\n")
        if finding.command:
            sys.stdout.write(f"           {finding.command}\n")
        sys.stdout.flush()
        problems += finding.severity == "problem"
    return 1 if problems else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader has closed the pipe, as `| head` does
        sys.stderr.close()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        sys.stderr.write(f"doctor: stdout cannot be written: {error.strerror}; make room, or write elsewhere.\n")
        sys.stderr.close()  # else Python tries to flush again and prints a second error
        sys.exit(10)
