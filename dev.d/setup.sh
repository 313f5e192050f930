# Sourced by ./dev: looks at the machine before anything is built, and installs what is missing.

RUST_WANTED="1.91"
NODE_WANTED="20.19"
DISK_WANTED_GB=12
FILES_WANTED=4096

APT_BUILD="libwebkit2gtk-4.1-dev librsvg2-dev libayatana-appindicator3-dev libssl-dev libdbus-1-dev pkg-config build-essential file"
APT_TEST="python3-dbusmock libglib2.0-bin gnome-keyring swtpm xvfb openbox webkit2gtk-driver libgl1-mesa-dri fonts-dejavu-core dbus dbus-x11 at-spi2-core gstreamer1.0-plugins-bad gstreamer1.0-libav xdotool imagemagick ffmpeg x11-utils lsof strace faketime mount e2fsprogs xfsprogs btrfs-progs"
DNF_BUILD="webkit2gtk4.1-devel librsvg2-devel libayatana-appindicator-gtk3-devel openssl-devel dbus-devel pkgconf-pkg-config gcc gcc-c++ make file"
DNF_TEST="python3-dbusmock glib2 e2fsprogs xfsprogs btrfs-progs gnome-keyring xorg-x11-server-Xvfb openbox dbus-x11 at-spi2-core xdotool ImageMagick ffmpeg-free lsof strace libfaketime"
PACMAN_BUILD="webkit2gtk-4.1 librsvg libayatana-appindicator openssl dbus pkgconf base-devel file"
PACMAN_TEST="python-dbusmock glib2 e2fsprogs xfsprogs btrfs-progs gnome-keyring xorg-server-xvfb openbox dbus at-spi2-core xdotool imagemagick ffmpeg lsof strace libfaketime"

PROBLEMS=0

case "$(uname -s)" in
  Linux) SYSTEM=linux ;;
  Darwin) SYSTEM=macos ;;
  MINGW* | MSYS* | CYGWIN*) SYSTEM=windows ;;
  *) SYSTEM=other ;;
esac

problem() {
  say "$*" >&2
  PROBLEMS=$((PROBLEMS + 1))
}

has() { command -v "$1" >/dev/null 2>&1; }

# at_least FOUND WANTED: compares the first two numbers of versions.
at_least() {
  local found_major="${1%%.*}" wanted_major="${2%%.*}" found_rest="${1#*.}" wanted_rest="${2#*.}"
  local found_minor="${found_rest%%.*}" wanted_minor="${wanted_rest%%.*}"
  [ "$found_major" -gt "$wanted_major" ] ||
    { [ "$found_major" -eq "$wanted_major" ] && [ "$found_minor" -ge "$wanted_minor" ]; }
}

look_at_rust() {
  local found
  has rustc || [ ! -r "$HOME/.cargo/env" ] || . "$HOME/.cargo/env"
  if ! has rustc || ! has cargo; then
    problem "Rust is missing; install it with: curl --proto '=https' -sSf https://sh.rustup.rs | sh -s -- -y"
    return
  fi
  found="$(rustc --version | cut -d ' ' -f 2)"
  at_least "$found" "$RUST_WANTED" ||
    problem "Rust $found is too old, $RUST_WANTED is needed; bring it up to date with: rustup update stable"
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    problem "Rust's formatter or linter is missing; add them with: rustup component add rustfmt clippy"
  fi
}

look_at_node() {
  local found how="curl -fsSL https://deb.nodesource.com/setup_22.x | ${SUDO:+$SUDO -E }bash - && ${SUDO:+$SUDO }apt-get install -y nodejs"
  has apt-get || how="see https://nodejs.org/en/download"
  if ! has node || ! has npm; then
    problem "Node.js is missing; install it: $how"
    return
  fi
  found="$(node --version)"
  found="${found#v}"
  at_least "$found" "$NODE_WANTED" ||
    problem "Node.js $found is too old, $NODE_WANTED is needed; install a newer one: $how"
}

look_at_disk() {
  local free_kb used_kb=0 wanted_kb=$((DISK_WANTED_GB * 1024 * 1024))
  mkdir -p "$CACHE" "$TOOLS"
  free_kb="$(df -Pk "$CACHE" | awk 'NR == 2 { print $4 }')"
  if [ "$free_kb" -lt "$wanted_kb" ]; then
    # What earlier builds take is not needed a second time.
    used_kb="$(du -sk "$CACHE" | cut -f 1)"
  fi
  [ $((free_kb + used_kb)) -ge "$wanted_kb" ] ||
    problem "Only $((free_kb / 1024 / 1024)) GB are free where builds go ($CACHE), $DISK_WANTED_GB GB are needed; see what takes the space with: du -xh -d 2 \"\$HOME\" | sort -h | tail"
}

look_at_files() {
  local limit
  limit="$(ulimit -n)"
  [ "$limit" = unlimited ] || [ "$limit" -ge "$FILES_WANTED" ] || ulimit -n "$FILES_WANTED" 2>/dev/null ||
    problem "Only $limit files may be open at once, $FILES_WANTED are needed; raise the limit with: ulimit -n $FILES_WANTED"
}

# Root, or a sudo that works: without a terminal it must not ask for a password.
find_sudo() {
  SUDO=""
  CAN_INSTALL=yes
  [ "$(id -u)" -ne 0 ] || return 0
  SUDO=sudo
  if ! has sudo || { [ ! -t 0 ] && ! sudo -n true 2>/dev/null; }; then
    CAN_INSTALL=""
  fi
}

# Prints those of the given Debian packages that are not installed.
missing_packages() {
  local package
  for package in "$@"; do
    dpkg-query -W -f '${Status}\n' "$package" 2>/dev/null | grep -q 'ok installed' ||
      printf '%s ' "$package"
  done
}

system_packages() {
  local wanted="$APT_BUILD" missing
  [ "$1" = build ] || wanted="$APT_BUILD $APT_TEST"
  if ! has apt-get; then
    other_packages "$1"
    return
  fi
  # shellcheck disable=SC2086 # a list of words
  missing="$(missing_packages $wanted)"
  [ -n "$missing" ] || return 0
  if [ -z "$CAN_INSTALL" ]; then
    problem "System packages are missing and neither root nor sudo is at hand; ask somebody who may to type: apt-get update && apt-get install -y --no-install-recommends $missing"
    return
  fi
  [ "$PROBLEMS" -eq 0 ] || return 0
  say "These system packages will be installed with apt-get: $missing"
  stage "System packages" install_packages "$missing"
}

install_packages() {
  # shellcheck disable=SC2086 # lists of words
  {
    $SUDO apt-get update -qq
    $SUDO env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $1
  }
}

# Elsewhere the packages have other names, and installing them is left to people.
other_packages() {
  local names=""
  [ "$SYSTEM" = linux ] || return 0
  if has dnf; then
    names="dnf install $DNF_BUILD"
    [ "$1" = build ] || names="$names $DNF_TEST"
  elif has pacman; then
    names="pacman -S --needed $PACMAN_BUILD"
    [ "$1" = build ] || names="$names $PACMAN_TEST"
  fi
  if ! has pkg-config || ! pkg-config --exists webkit2gtk-4.1 openssl librsvg-2.0; then
    problem "WebKitGTK 4.1, OpenSSL or librsvg is missing for building; install them with: ${names:-your package manager, the Debian names are: $APT_BUILD}"
  elif [ "$1" = test ]; then
    say "Only Debian's packages are known by name here; if a program is missing for a test, try: ${names:-the Debian names, $APT_TEST}"
  fi
}

find_browser() {
  local name
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if has "$name"; then
      MAYFLY_CHROMIUM="$(command -v "$name")"
      export MAYFLY_CHROMIUM
      return
    fi
  done
  skipped "what needs a Chrome or Chromium: none was found; on Debian: apt-get install chromium"
}

# tool NAME VERSION: a Rust program that checks or tests need, built once into the tools folder. The
# dev profile builds in a minute what the release profile builds in several.
tool() {
  # A stamp tells the version: not every tool does.
  [ ! -x "$TOOLS/bin/$1" ] || [ ! -e "$TOOLS/$1-$2" ] || return 0
  say "Building $1 $2 once, which takes a minute or two."
  CARGO_TARGET_DIR="$TOOLS/build" CARGO_PROFILE_DEV_DEBUG=0 \
    cargo install --quiet --debug --locked --root "$TOOLS" "$1@$2"
  rm -rf "${TOOLS:?}/build"
  : >"$TOOLS/$1-$2"
}

# prepare build|test: everything that must be there, or one sentence for each thing that is not.
prepare() {
  find_sudo
  look_at_rust
  look_at_node
  look_at_disk
  look_at_files
  system_packages "$1"
  [ "$PROBLEMS" -eq 0 ] || fail "Nothing was built. Once this is put right, type the same command again."
  if [ ! -d "$CARGO_TARGET_DIR/debug" ]; then
    say "The first build compiles about 700 crates into $CARGO_TARGET_DIR: some 15 minutes on two cores, later ones seconds."
  fi
  if [ "$1" = test ]; then
    find_browser
    [ "$SYSTEM" != linux ] || stage "WebDriver for the app" tool tauri-driver 2.1.0
  fi
}
