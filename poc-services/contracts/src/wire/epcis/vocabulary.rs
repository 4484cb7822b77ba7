//! The words of the Core Business Vocabulary 2.0 that events use, as the standard's JSON Schema lists them.

/// An enum with the word of each variant, and the way back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $($variant:ident = $word:literal,)*) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($variant,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The bare word.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// What was being done.
    Step,
    Accepting = "accepting",
    Arriving = "arriving",
    Assembling = "assembling",
    Collecting = "collecting",
    Commissioning = "commissioning",
    Consigning = "consigning",
    CreatingClassInstance = "creating_class_instance",
    CycleCounting = "cycle_counting",
    Decommissioning = "decommissioning",
    Departing = "departing",
    Destroying = "destroying",
    Disassembling = "disassembling",
    Dispensing = "dispensing",
    Encoding = "encoding",
    EnteringExiting = "entering_exiting",
    Holding = "holding",
    Inspecting = "inspecting",
    Installing = "installing",
    Killing = "killing",
    Loading = "loading",
    Other = "other",
    Packing = "packing",
    Picking = "picking",
    Receiving = "receiving",
    Removing = "removing",
    Repackaging = "repackaging",
    Repairing = "repairing",
    Replacing = "replacing",
    Reserving = "reserving",
    RetailSelling = "retail_selling",
    Shipping = "shipping",
    StagingOutbound = "staging_outbound",
    StockTaking = "stock_taking",
    Stocking = "stocking",
    Storing = "storing",
    Transporting = "transporting",
    Unloading = "unloading",
    Unpacking = "unpacking",
    VoidShipping = "void_shipping",
    SensorReporting = "sensor_reporting",
    Sampling = "sampling",
}

words! {
    /// The state of things after the event.
    Disposition,
    Active = "active",
    ContainerClosed = "container_closed",
    Damaged = "damaged",
    Destroyed = "destroyed",
    Dispensed = "dispensed",
    Disposed = "disposed",
    Encoded = "encoded",
    Expired = "expired",
    InProgress = "in_progress",
    InTransit = "in_transit",
    Inactive = "inactive",
    NoPedigreeMatch = "no_pedigree_match",
    NonSellableOther = "non_sellable_other",
    PartiallyDispensed = "partially_dispensed",
    Recalled = "recalled",
    Reserved = "reserved",
    RetailSold = "retail_sold",
    Returned = "returned",
    SellableAccessible = "sellable_accessible",
    SellableNotAccessible = "sellable_not_accessible",
    Stolen = "stolen",
    Unknown = "unknown",
    Available = "available",
    CompletenessVerified = "completeness_verified",
    CompletenessInferred = "completeness_inferred",
    Conformant = "conformant",
    ContainerOpen = "container_open",
    MismatchInstance = "mismatch_instance",
    MismatchClass = "mismatch_class",
    MismatchQuantity = "mismatch_quantity",
    NeedsReplacement = "needs_replacement",
    NonConformant = "non_conformant",
    Unavailable = "unavailable",
}

words! {
    /// What kind of paper a business transaction is.
    TransactionKind,
    BillOfLading = "bol",
    Certificate = "cert",
    DespatchAdvice = "desadv",
    Invoice = "inv",
    Pedigree = "pedigree",
    PurchaseOrder = "po",
    PurchaseOrderConfirmation = "poc",
    ProductionOrder = "prodorder",
    ReceivingAdvice = "recadv",
    ReturnAuthorisation = "rma",
    TestProcedure = "testprd",
    TestResult = "testres",
    UpEvent = "upevt",
}

words! {
    /// Whose goods go from where to where.
    PartyKind,
    OwningParty = "owning_party",
    PossessingParty = "possessing_party",
    Location = "location",
}

words! {
    /// Why an event is declared wrong.
    Reason,
    DidNotOccur = "did_not_occur",
    IncorrectData = "incorrect_data",
}

words! {
    /// What an event says of things: that they are here, that they begin to be, that they end.
    Action,
    Observe = "OBSERVE",
    Add = "ADD",
    Delete = "DELETE",
}

words! {
    /// The kinds of event that the standard has.
    EventKind,
    Object = "ObjectEvent",
    Aggregation = "AggregationEvent",
    Transaction = "TransactionEvent",
    Transformation = "TransformationEvent",
    Association = "AssociationEvent",
}
