# Verifies every *.eml of a folder with Mail::DKIM; prints its name and the result, a line each.
#   perl verify_dkim.pl FOLDER NAME TEXT [NAME TEXT ...]    the TXT records that stand for the DNS

use strict;
use warnings;
use Mail::DKIM::Verifier;
use Net::DNS;

my ($folder, %records) = @ARGV;
{
    no warnings 'redefine';
    *Mail::DKIM::DNS::query = sub {
        my $text = $records{$_[0]} // return;
        return Net::DNS::RR->new(name => $_[0], type => 'TXT', txtdata => [unpack '(A255)*', $text]);
    };
}
for my $file (sort glob "$folder/*.eml") {
    open my $mail, '<:raw', $file or die "$file: $!";
    my $verifier = Mail::DKIM::Verifier->new();
    $verifier->PRINT(do { local $/; <$mail> });
    $verifier->CLOSE;
    print $file =~ m{([^/]+)\.eml$}, ' ', $verifier->result, "\n";
}
