# What golive does on one host. Any POSIX shell runs it; beside it there have to be /proc, flock, readlink -f and
# mv -T, as GNU and BusyBox have them, and over ssh timeout, under which all of this runs. It is the same text for every
# plan: what a plan says arrives in the arguments.
#
#	look RELEASE...               what is so, and what bars the way back; changes nothing
#	switch FENCE SEQ RELEASE      lets current point to a release, and restarts what does not run it
#	kill FENCE SEQ PID START      ends a process that does not heed the restart
#	prune FENCE SEQ KEEP NAME...  removes old releases, but none of these names
set -u
LC_ALL=C
export LC_ALL
root=$1 run=$2 files=$3 supervisor=$4 service=$5 config=$6 sudo=$7 restart=$8 pidof=$9
shift 9
verb=$1
shift
newline='
'

die() {
	printf '%s\n' "$*" >&2
	exit 7
}

base=$(cd "$root/releases" 2>/dev/null && pwd -P) || die "$root/releases is not there, or may not be entered"
[ -r /proc/self/stat ] || die "there is no /proc, so nobody can tell what runs"

# release sets name to the release that a path is in, or to nothing.
release() {
	name=
	case $1 in
	"$base"/*)
		name=${1#"$base"/}
		name=${name%%/*}
		;;
	esac
}

# linked sets link to the release that current points to, or to the path if that is no release.
linked() {
	link=
	[ -L "$root/current" ] || return 0
	link=$(readlink -f "$root/current") || link=$(readlink "$root/current")
	release "$link"
	[ "$base/$name" != "$link" ] || link=$name
}

# lacks sets lack to what a release lacks.
lacks() {
	lack= dir=$base/$1
	if [ ! -d "$dir" ]; then
		lack="$dir is not there"
	elif [ ! -r "$dir" ] || [ ! -x "$dir" ]; then
		lack="$dir may not be read"
	elif [ ! -x "$dir/$run" ] || [ ! -f "$dir/$run" ]; then
		lack="$dir/$run is not there, or may not be executed"
	else
		rest=$files
		while [ -n "$rest" ]; do # a line for each
			file=${rest%%"$newline"*}
			rest=${rest#"$file"}
			rest=${rest#"$newline"}
			[ -r "$dir/$file" ] || lack="$dir/$file is not there, or may not be read"
		done
	fi
}

# supervised sets pid to what the supervisor says of the process: its number, or what is no number if there is none.
supervised() {
	case $supervisor in
	systemd)
		pid=$(systemctl show --property=LoadState --value -- "$service" 2>&1)
		[ "$pid" = loaded ] && pid=$(systemctl show --property=MainPID --value -- "$service")
		;;
	runit)
		pid=$($sudo sv status "$service" 2>&1) || return 1
		case $pid in
		run:*)
			pid=${pid#*: (pid }
			pid=${pid%%)*}
			;;
		esac
		;;
	supervisor)
		pid=$($sudo supervisorctl ${config:+-c "$config"} pid "$service" 2>&1)
		case $pid in *[!0-9]* | '') return 1 ;; esac
		;;
	s6) pid=$($sudo s6-svstat -o pid "$service" 2>&1) ;;
	command) pid=$(sh -c "$pidof" 2>&1) ;;
	esac
}

# process sets pid, and start, which tells it from a later process of the same number. Nothing that runs is pid 0, and
# so is a process that has ended without anybody taking notice.
process() {
	supervised || die "$supervisor cannot be asked for $service: $pid"
	case $pid in *[!0-9]* | '') pid=0 ;; esac
	start=0 state=
	if [ "$pid" -gt 0 ] && { read -r stat <"/proc/$pid/stat"; } 2>/dev/null; then
		set -- ${stat##*) }
		state=$1
		start=${20}
	fi
	case $state in '' | Z | X) pid=0 start=0 ;; esac
}

# running sets runs to the release that the process is of, by its program or else by its directory, deleted to whether its
# program was removed, and saw to both.
running() {
	runs= saw= deleted=
	[ "$pid" -gt 0 ] || return 0
	saw=$($sudo readlink "/proc/$pid/exe" "/proc/$pid/cwd" 2>/dev/null)
	for path in "${saw%%"$newline"*}" "${saw#*"$newline"}"; do
		[ -z "$runs" ] || break
		release "$path"
		case $path in *' (deleted)') deleted=yes ;; *) deleted= ;; esac
		runs=${name%' (deleted)'}
	done
	saw="${saw%%"$newline"*} in ${saw#*"$newline"}"
}

# bar prints something that bars the way back.
bar() { echo "@bar $*"; }

# bars prints all that does.
bars() {
	command -v flock >/dev/null || bar "flock is not installed (package util-linux)"
	[ -w "$root" ] && [ -x "$root" ] || bar "$root may not be written, and current is in it"
	for file in "$root/.golive-lock" "$root/.golive-fence" "$root/.golive-fence.new"; do
		[ ! -e "$file" ] || [ -w "$file" ] || bar "$file may not be written"
	done
	fenced || bar "$unfenced"
	if [ -e "$root/current" ] && [ ! -L "$root/current" ]; then bar "$root/current is no symbolic link"; fi
	if [ -n "$sudo" ]; then
		some=$pid
		[ "$some" -gt 0 ] || some=1 # sudo is only asked whether it would
		allows readlink "/proc/$some/exe" "/proc/$some/cwd"
		allows kill -KILL "$some"
		case $supervisor in
		systemd) allows systemctl --no-block restart -- "$service" ;;
		runit) for word in term cont up; do allows sv "$word" "$service"; done ;;
		supervisor) allows supervisorctl ${config:+-c "$config"} restart "$service" ;;
		s6) allows s6-svc -r -u "$service" ;;
		esac
		return 0
	fi
	case $supervisor in
	systemd) [ "$(id -u)" = 0 ] || bar "restarting $service takes root (say sudo: true)" ;;
	supervisor) ;; # it has answered, and whom it answers it obeys
	command) ;;    # nothing is known of it
	*) [ -w "$service/supervise/control" ] || bar "$service/supervise/control may not be written" ;;
	esac
}

# allows bars the way back if sudo would not run a command. Nothing is run to find that out.
allows() { $sudo -l "$@" >/dev/null 2>&1 || bar "sudo does not allow $* without a password"; }

# lock waits for others that change something here. What it holds is not handed on to what is started.
lock() {
	command -v flock >/dev/null || die "flock is not installed (package util-linux)"
	(: >>"$root/.golive-lock") 2>/dev/null || die "$root/.golive-lock may not be written"
	exec 9>>"$root/.golive-lock"
	tries=0
	until flock -n 9; do
		tries=$((tries + 1))
		[ "$tries" -lt 200 ] || die "another golive holds $root/.golive-lock"
		sleep 0.1
	done
}

# fenced sets highest and last to the order that was obeyed here, or unfenced to why nobody can tell.
fenced() {
	highest=0 last=0 unfenced=
	[ -e "$root/.golive-fence" ] || return 0
	if ! { read -r highest last <"$root/.golive-fence"; } 2>/dev/null; then
		unfenced="$root/.golive-fence may not be read, or holds no line (it may be removed while no rollout is under way)"
		return 1
	fi
	case $highest/$last in
	/* | */ | *[!0-9/]*)
		unfenced="$root/.golive-fence holds no two numbers (it may be removed while no rollout is under way)"
		return 1
		;;
	esac
}

# fence refuses an order that comes after a later one, and remembers this one.
fence() {
	fenced || die "$unfenced"
	if [ "$1" -lt "$highest" ] || { [ "$1" -eq "$highest" ] && [ "$2" -lt "$last" ]; }; then
		die "the order $1/$2 comes too late: $highest/$last was obeyed here (remove $root/.golive-fence if that cannot be)"
	fi
	{ printf '%s %s\n' "$1" "$2" >"$root/.golive-fence.new"; } 2>/dev/null &&
		mv -f "$root/.golive-fence.new" "$root/.golive-fence" || die "$root/.golive-fence cannot be written"
}

# again restarts what the supervisor runs, and waits for as little as it can.
again() {
	case $supervisor in
	systemd) $sudo systemctl --no-block restart -- "$service" ;;
	runit) $sudo sv term "$service" && $sudo sv cont "$service" && $sudo sv up "$service" ;;
	supervisor) $sudo supervisorctl ${config:+-c "$config"} restart "$service" ;;
	s6) $sudo s6-svc -r -u "$service" ;;
	command) sh -c "$restart" ;;
	esac
}

echo "@begin"
case $verb in
look)
	process
	running
	linked
	echo "@link $link"
	echo "@pid $pid"
	echo "@start $start"
	echo "@runs $runs"
	echo "@deleted $deleted"
	echo "@saw $saw"
	for name in "$@"; do
		lacks "$name"
		[ -z "$lack" ] || echo "@lacks $name $lack"
	done
	bars
	;;
switch)
	lock
	fence "$1" "$2"
	lacks "$3"
	[ -z "$lack" ] || die "$lack"
	process
	running
	linked
	if [ "$link" != "$3" ]; then
		new=$root/.golive-current
		rm -f "$new"
		ln -s "releases/$3" "$new" && mv -Tf "$new" "$root/current" || die "$root/current cannot be switched"
	fi
	echo "@pid $pid"
	echo "@start $start"
	if [ "$runs" != "$3" ] || [ -n "$deleted" ]; then
		echo "@restarted yes"
		# A restart brings up whatever current points to, also after a later order, which must not wait for it.
		exec 9>&-
		again >&2 || die "$supervisor does not restart $service"
	fi
	;;
kill)
	lock
	fence "$1" "$2"
	process
	if [ "$pid" = "$3" ] && [ "$start" = "$4" ]; then
		$sudo kill -KILL "$pid" || die "the process $pid does not end, and may not be killed"
	fi
	;;
prune)
	lock
	fence "$1" "$2"
	keep=$3
	shift 3
	process
	running
	linked
	cd "$base" || die "$base may not be entered"
	rm -rf ./.golive-pruned-* || die "what is left of old releases cannot be removed"
	ls -1t | while IFS= read -r name; do
		[ -d "$name" ] && [ ! -L "$name" ] || continue
		keep=$((keep - 1))
		[ "$keep" -lt 0 ] || continue
		for needed in "$link" "$runs" "$@"; do
			[ "$name" != "$needed" ] || continue 2
		done
		# Half of a release must never pass for one.
		mv -T -- "$name" ".golive-pruned-$name" && rm -rf -- "./.golive-pruned-$name" || die "$base/$name cannot be removed"
	done || exit
	;;
esac
echo "@end"
