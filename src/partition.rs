//! AWS partitions: what account lists, ARNs and console addresses depend on.

/// A group of regions with accounts, ARNs and consoles of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    China,
    GovCloud,
    /// `us-iso-*`
    Iso,
    /// `us-isob-*`
    IsoB,
    /// `eu-isoe-*`
    IsoE,
    /// `us-isof-*`
    IsoF,
    /// The European Sovereign Cloud, `eusc-*`.
    EuSovereign,
}

impl Partition {
    const ALL: [Partition; 8] = [
        Partition::Aws,
        Partition::China,
        Partition::GovCloud,
        Partition::Iso,
        Partition::IsoB,
        Partition::IsoE,
        Partition::IsoF,
        Partition::EuSovereign,
    ];

    /// The partition of a region such as `eu-central-1`. Regions appear more often than partitions, so
    /// one with an unknown prefix is taken for a commercial one.
    pub fn of_region(region: &str) -> Self {
        const PREFIXES: [(&str, Partition); 7] = [
            ("cn-", Partition::China),
            ("us-gov-", Partition::GovCloud),
            ("us-iso-", Partition::Iso),
            ("us-isob-", Partition::IsoB),
            ("eu-isoe-", Partition::IsoE),
            ("us-isof-", Partition::IsoF),
            ("eusc-", Partition::EuSovereign),
        ];
        PREFIXES
            .into_iter()
            .find(|(prefix, _)| region.starts_with(prefix))
            .map_or(Partition::Aws, |(_, partition)| partition)
    }

    /// From its name in ARNs: `aws-cn`.
    pub fn of_name(name: &str) -> Option<Self> {
        Partition::ALL.into_iter().find(|partition| partition.name() == name)
    }

    /// As ARNs name it: `aws`, `aws-cn`, `aws-us-gov`.
    pub fn name(self) -> &'static str {
        match self {
            Partition::Aws => "aws",
            Partition::China => "aws-cn",
            Partition::GovCloud => "aws-us-gov",
            Partition::Iso => "aws-iso",
            Partition::IsoB => "aws-iso-b",
            Partition::IsoE => "aws-iso-e",
            Partition::IsoF => "aws-iso-f",
            Partition::EuSovereign => "aws-eusc",
        }
    }

    /// What an ARN starts with: `arn:aws-cn:`.
    pub fn arn_prefix(self) -> String {
        format!("arn:{}:", self.name())
    }

    /// The domain of the partition's service endpoints: `amazonaws.com`.
    pub fn dns_suffix(self) -> &'static str {
        match self {
            Partition::Aws | Partition::GovCloud => "amazonaws.com",
            Partition::China => "amazonaws.com.cn",
            Partition::Iso => "c2s.ic.gov",
            Partition::IsoB => "sc2s.sgov.gov",
            Partition::IsoE => "cloud.adc-e.uk",
            Partition::IsoF => "csp.hci.ic.gov",
            Partition::EuSovereign => "amazonaws.eu",
        }
    }

    /// The console's domain. `None` for the isolated partitions, whose consoles have no public address.
    pub fn console_domain(self) -> Option<&'static str> {
        match self {
            Partition::Aws => Some("console.aws.amazon.com"),
            Partition::China => Some("console.amazonaws.cn"),
            Partition::GovCloud => Some("console.amazonaws-us-gov.com"),
            Partition::EuSovereign => Some("console.amazonaws-eusc.eu"),
            Partition::Iso | Partition::IsoB | Partition::IsoE | Partition::IsoF => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_belong_to_their_partition() {
        for (region, name) in [
            ("eu-central-1", "aws"),
            ("us-east-1", "aws"),
            ("", "aws"),
            ("mx-central-1", "aws"),
            ("cn-northwest-1", "aws-cn"),
            ("us-gov-east-1", "aws-us-gov"),
            ("us-iso-east-1", "aws-iso"),
            ("us-isob-east-1", "aws-iso-b"),
            ("eu-isoe-west-1", "aws-iso-e"),
            ("us-isof-south-1", "aws-iso-f"),
            ("eusc-de-east-1", "aws-eusc"),
        ] {
            assert_eq!(Partition::of_region(region).name(), name, "{region}");
        }
    }

    #[test]
    fn names_lead_back_to_the_partition() {
        for partition in Partition::ALL {
            assert_eq!(Partition::of_name(partition.name()), Some(partition));
        }
        assert_eq!(Partition::of_name("azure"), None);
        assert_eq!(Partition::China.arn_prefix(), "arn:aws-cn:");
        assert_eq!(Partition::China.console_domain(), Some("console.amazonaws.cn"));
        assert_eq!(Partition::IsoB.console_domain(), None);
    }
}
