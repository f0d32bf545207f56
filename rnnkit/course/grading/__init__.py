"""Grades students' notebooks with the tests in the teacher's notebook.

Read in this order: `command` (the command line), `lesson` and `submission` (the two notebooks, as `notebook` reads
them), `client` and `server` (which imports once and starts two processes per exercise), `judge` (the trusted process:
it runs the tests), `worker` (the untrusted process: it runs the student's cells), `wire` and `remote_proxy` (what the
two exchange), `sandbox` and `system_calls` (what confines the untrusted one), `report`.
"""

CHECKS = "rnnkit.course.checks"  # the answers: hidden from students' code; their objects stay with the judge
