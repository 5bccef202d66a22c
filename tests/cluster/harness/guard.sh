# Runs a program that must not outlive the test run: `sh guard.sh FOLDER PROGRAM ARGUMENT...`
# The pipe on standard input closes when the test run ends, however it ends; then the program is killed and the
# folder removed. Says the program's process id first and `ended CODE` when it has ended; its output goes to FOLDER/log.
folder=$1
shift
# The one who reads what is said here may be gone.
trap : PIPE
exec 3<&0
"$@" 3<&- </dev/null >"$folder/log" 2>&1 &
program=$!
{ read -r _ <&3; kill -KILL "$program"; } >/dev/null 2>&1 &
watcher=$!
echo "$program"
wait "$program"
status=$?
kill "$watcher" 2>/dev/null
echo "ended $status"
exec 1>&-
read -r _ <&3
rm -rf "$folder"
