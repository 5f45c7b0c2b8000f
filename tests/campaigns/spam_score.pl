# Prints a line for each mail named on the command line: its score by SpamAssassin's local rules, the rules it met, its file.
# No network, no learning, no rules but Debian's.
use strict;
use warnings;
use Mail::SpamAssassin;

my $judge = Mail::SpamAssassin->new({local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => '/dev/null'});
for my $file (@ARGV) {
    open(my $mail, '<', $file) or die "$file: $!";
    my $parsed = $judge->parse([<$mail>]);
    my $verdict = $judge->check($parsed);
    print join("\t", $verdict->get_score(), $verdict->get_names_of_tests_hit(), $file), "\n";
    $verdict->finish();
    $parsed->finish();
}
